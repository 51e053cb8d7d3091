"""A digest of code changes with every module that a result rests on, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from shed.common.import_closure import code_digest, import_closure
from shed.valuation.proxy_game import CODE

PACKAGE = {
    "top.py": '"""Uses what the middle computes."""\n\nfrom pack.middle import doubled\n\nRESULT = doubled(1)\n',
    "middle.py": "def doubled(x):\n    import pack.bottom\n\n    return pack.bottom.twice(x)\n",
    "bottom.py": '"""Computes."""\n\n\ndef twice(x):\n    """Two times."""\n    return 2 * x\n',
    "aside.py": "NOBODY = 'imports this'\n",
}


def written(root: Path, **changes: str) -> Path:
    """A small package below `root`; a module in `changes` has this text instead."""
    (root / "pack").mkdir(parents=True)
    (root / "pack" / "__init__.py").write_text('"""A package."""\n')
    for name, text in (PACKAGE | {f"{module}.py": text for module, text in changes.items()}).items():
        (root / "pack" / name).write_text(text)
    return root


def names(*modules: str, root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in import_closure(*modules, root=root)}


def test_the_closure_holds_what_is_imported_at_the_top_and_inside_functions(tmp_path: Path) -> None:
    root = written(tmp_path)
    assert names("pack.top", root=root) == {"pack/top.py", "pack/middle.py", "pack/bottom.py"}
    assert names("pack.bottom", "pack.aside", root=root) == {"pack/bottom.py", "pack/aside.py"}
    with pytest.raises(FileNotFoundError, match=r"pack\.tpo: no such module"):
        import_closure("pack.tpo", root=root)


@pytest.mark.parametrize(
    ("bottom", "same"),
    [
        ("def twice(x):\n    return 2 * x\n", True),
        ('"""Says more."""\n# why\n\n\ndef twice(x):  # and how\n\n    """Doubles."""\n\n    return (2 * x)\n', True),
        ("def twice(x):\n    return x * 2\n", False),
        ("def twice(x):\n    return 2 * x\n\n\ntwice = round\n", False),
    ],
)
def test_the_digest_changes_with_code_two_imports_away_and_not_with_text(tmp_path: Path, bottom: str, same: bool) -> None:
    before, after = written(tmp_path / "before"), written(tmp_path / "after", bottom=bottom)
    assert (code_digest("pack.top", root=before) == code_digest("pack.top", root=after)) == same


def test_a_module_that_nobody_imports_changes_nothing(tmp_path: Path) -> None:
    before, after = written(tmp_path / "before"), written(tmp_path / "after", aside="SOMEBODY = 1\n")
    assert code_digest("pack.top", root=before) == code_digest("pack.top", root=after)


def test_a_module_that_no_output_depends_on_is_left_out_with_what_it_alone_imports(tmp_path: Path) -> None:
    silent = "from pack.aside import NOBODY\n\nOUTPUTS_DEPEND_ON: tuple[str, ...] = ()\n"
    root = written(tmp_path, bottom=silent)
    assert names("pack.top", root=root) == {"pack/top.py", "pack/middle.py"}
    assert names("pack.bottom", root=root) == {"pack/bottom.py", "pack/aside.py"}  # what is asked for is always in


@pytest.mark.parametrize(
    ("middle", "counts"),
    [
        ("from pack.bottom import load\n", False),
        ("from pack import bottom\n", True),
        ("import pack.bottom\n", True),
        ("from pack.bottom import load, describe\n", True),
        ("def doubled(x):\n    from pack.bottom import describe as told\n    return told(x)\n", True),
    ],
)
def test_a_module_whose_output_depends_on_some_names_counts_where_one_is_imported(
    tmp_path: Path, middle: str, counts: bool
) -> None:
    root = written(tmp_path, middle=middle, bottom='OUTPUTS_DEPEND_ON = ("describe",)\n')
    assert ("pack/bottom.py" in names("pack.top", root=root)) == counts


def test_a_package_counts_if_it_has_code_of_its_own(tmp_path: Path) -> None:
    root = written(tmp_path)
    (root / "pack" / "__init__.py").write_text('"""A package."""\n\nSTEP = 1\n')
    assert "pack/__init__.py" in names("pack.top", root=root)


def test_the_utilities_of_the_ledger_rest_on_the_engine_and_the_models_and_on_no_estimator(project_root: Path) -> None:
    found = names(CODE, root=project_root)
    assert CODE == "shed.valuation.tuning_game"
    assert found >= {
        "shed/engine/coalition_trainer.py",
        "shed/engine/gradients.py",
        "shed/engine/lora_losses.py",
        "shed/models/encoding.py",
        "shed/models/loading.py",
        "shed/models/parallel.py",
        "shed/valuation/game.py",
        "shed/valuation/tuning_game.py",
    }
    assert {name for name in found if name.startswith("shed/valuation/")} == {
        "shed/valuation/game.py",
        "shed/valuation/tuning_game.py",
    }
    assert {name.split("/")[1] for name in found} == {"common", "data", "engine", "models", "valuation"}
    assert not found & {"shed/common/errors.py", "shed/common/progress.py"}


def test_a_change_in_the_models_changes_the_key_of_the_ledger(project_root: Path, tmp_path: Path) -> None:
    shutil.copytree(project_root / "shed", tmp_path / "copy" / "shed")
    shutil.copytree(project_root / "shed", tmp_path / "changed" / "shed")
    shutil.copytree(project_root / "shed", tmp_path / "commented" / "shed")
    with (tmp_path / "changed" / "shed" / "models" / "parallel.py").open("a") as file:
        file.write("CHUNK_TOKENS = 3\n")
    with (tmp_path / "commented" / "shed" / "models" / "parallel.py").open("a") as file:
        file.write("# CHUNK_TOKENS = 3\n")
    digests = {name: code_digest(CODE, root=tmp_path / name) for name in ("copy", "changed", "commented")}
    assert digests["copy"] == digests["commented"] == code_digest(CODE)
    assert digests["changed"] != digests["copy"]
