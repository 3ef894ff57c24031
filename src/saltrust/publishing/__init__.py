"""From an executed chapter to something that one opens or deposits: book, pages of runs, comparisons, a crate, a quiz.

It may import every floor below it, and nothing but the command line imports it, and the one chapter that makes a page
of HTML itself (the report card). An executed notebook is read once, into `blocks`; `myst` and `html` write them. So
what a chapter can show is named in one place, and neither medium can lack it unnoticed.
"""
