"""Tables of pools that were changed on purpose, or grouped in other ways: faults, a small source, clusterings.

In: `faults.json`, `spread_faults.json` and `imbalance.json` of `experiments/selection`, and `clusterings.json` of
`experiments/valuation`. Out: blocks of docs/robustness.md.
"""

from tools.doc_tables.markdown import Block, code, table
from tools.doc_tables.values import Row, result

READ: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("cosine", "cosine within the source", "nearest prompts' responses", "cross-fitted map", "prompt fit"), ("embeddings",)
)
READ |= dict.fromkeys(("perplexity, low", "end expected"), ("own",))
READ |= dict.fromkeys(("IFD, low", "loss without the prompt"), ("own and alone",))
READ |= dict.fromkeys(("loss after other prompts", "gains of other responses", "both contrasts"), ("own, alone and elsewhere",))
READ["prompt fit and both contrasts"] = ("embeddings", "own, alone and elsewhere")
BASELINES = ("longest", "bm25", "importance", "cosine", "k_centre", "rds", "ifd", "perplexity")


def faults() -> str:
    """What ratings, scores and selections make of three damaged pools."""
    pools: dict[str, Row] = result("selection/faults")

    def best(own: Row) -> str:
        found = {name: own["auroc"][name] for name in BASELINES}
        name = max(found, key=lambda one: found[one])
        return f"{found[name]:.2f} ({name})"

    def fewest(own: Row) -> str:
        found = {name: own["faulty_share_kept"][name] for name in BASELINES}
        least = min(found.values())
        return f"{least:.1%} ({', '.join(name for name in found if found[name] == least)})"

    def of_clusters(own: Row) -> str:
        return "no cluster is mostly faulty" if own["auroc_of_clusters"] is None else f"{own['auroc_of_clusters']:.2f}"

    kept = {"top": code("top"), "qocs": code("qocs"), "random": "random rows"}
    columns = [
        [
            f"{own['faulty_share']:.1%}",
            of_clusters(own),
            f"{own['auroc']['rating']:.2f}",
            best(own),
            *(f"{own['faulty_share_kept'][name]:.1%}" for name in kept),
            fewest(own),
        ]
        for own in pools.values()
    ]
    names = [
        "faulty rows in the pool",
        "AUROC of cluster scores against faulty clusters",
        "AUROC of ratings against faulty records",
        "AUROC of the best baseline",
        *(f"faulty rows kept by {shown}" for shown in kept.values()),
        "faulty rows kept by the best baseline",
    ]
    return table(["", *pools], [[name, *cells] for name, *cells in zip(names, *columns, strict=True)])


def spread() -> str:
    """AUROC of signals of a response that is not its prompt's, by kind of fault and share, and what they cost."""
    found = result("selection/spread_faults")
    columns = [(kind, share) for kind, shares in found["auroc"].items() for share in shares]
    signals: list[str] = list(found["auroc"]["swapped within sources"]["10%"])

    def cell(kind: str, share: str, signal: str) -> str:
        own = found["auroc"][kind][share].get(signal)
        return f"{own['mean']:.2f}" if own else ""

    signals.sort(key=lambda signal: -found["auroc"]["swapped within sources"]["10%"][signal]["mean"])
    rows = [
        [signal, *(cell(*column, signal) for column in columns), f"{sum(found['seconds'][part] for part in READ[signal]):.0f}"]
        for signal in signals
    ]
    return table(["signal", *(f"{kind}, {share}" for kind, share in columns), "CPU seconds"], rows)


def spread_by_source() -> str:
    """AUROC of prompt fit in each source."""
    found = result("selection/spread_faults")["prompt_fit"]
    sources = sorted({source for own in found.values() for source in own["auroc_by_source"]})
    rows = [
        [kind, *(f"{own[source]:.2f}" if source in own else "" for source in sources)]
        for kind, own in ((kind, found[kind]["auroc_by_source"]) for kind in found)
    ]
    return table(["fault, in 10% of the rows", *sources], rows)


def left_out() -> str:
    """Which shares of faulty and of sound records are below some prompt fits."""
    found = result("selection/spread_faults")["prompt_fit"]
    kinds = ("swapped within sources", "swapped")
    thresholds: list[str] = list(found[kinds[0]]["faulty_below"])
    rows = [
        [threshold, *(f"{found[kind][whose][threshold]:.1%}" for kind in kinds for whose in ("faulty_below", "sound_below"))]
        for threshold in thresholds
    ]
    return table(["prompt fit below", *(f"{kind}: {whose} rows" for kind in kinds for whose in ("faulty", "sound"))], rows)


def by_fault() -> str:
    """AUROC of ratings for each kind of fault, where all kinds are mixed."""
    found: dict[str, float] = result("selection/faults")["a fifth of all, every kind"]["auroc_by_fault"]
    ordered = sorted(found, key=lambda kind: -found[kind])
    return table(["fault", "AUROC of ratings"], [[kind.replace("_", " "), f"{found[kind]:.2f}"] for kind in ordered])


def imbalance() -> str:
    """A small source's share of the pool and of what each sampler selects, without a floor and with one."""
    samplers = ("top", "qocs", "qwcs")
    rows = [
        [source, f"{own['share_of_pool']:.1%}"]
        + [f"{own[what][sampler]:.1%}" for what in ("share_of_selection", "share_with_floor") for sampler in samplers]
        for source, own in result("selection/imbalance").items()
    ]
    head = ["small source", "share of the pool", *map(code, samplers), *(f"{code(one)} with a floor" for one in samplers)]
    return table(head, rows)


def clusterings() -> str:
    """Correlation of a record's marginal with the other members of its cluster, by embedding, method and C."""
    found: list[Row] = result("valuation/clusterings")["clusterings"]
    sizes = sorted({row["C"] for row in found})
    cells = {(row["embeddings"], row["method"], row["C"]): f"{row['others_tell']:.2f}" for row in found}
    ways = list(dict.fromkeys((row["embeddings"], row["method"]) for row in found))
    return table(
        ["embeddings", "method", *(f"C = {C}" for C in sizes)], [[*way, *(cells[*way, C] for C in sizes)] for way in ways]
    )


BLOCKS: dict[str, Block] = {
    "faults": faults,
    "faults by kind": by_fault,
    "faults spread thin": spread,
    "faults spread thin by source": spread_by_source,
    "rows below a prompt fit": left_out,
    "a small source": imbalance,
    "clusterings": clusterings,
}
