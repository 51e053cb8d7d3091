"""Measured numbers, tables and pictures in the Markdown pages, written from committed results.

In: pages with markers, and the JSON, CSV and YAML files that the project commits. Out: the same pages, with what stands
between the markers renewed. A block stands between `<!-- table: NAME -->` and `<!-- end of table -->`; a number or a text in a
sentence stands between `<!-- n: PATH as FORMAT -->` and `<!-- end -->`. Of what a stage has not measured yet, it says so.
"""
