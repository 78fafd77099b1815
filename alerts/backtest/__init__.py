"""The backtest of a rule: when it would have fired, judged over what is stored.

`moments` decides at which moments a rule can be judged, and how precisely; `readings` reads its values at all of them;
`replay` judges them one after the other, with the function that also judges alerts; `hours` says what the rollups of
hours prove; `firings` makes what has fired of it; `result` has it in words and for JSON, and `backtest` joins these.
`group` reads what is judged of one group up to now.
"""
