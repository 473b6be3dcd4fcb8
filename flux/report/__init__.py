"""What `flux report` makes of a run: one page that can be read anywhere, or text.

`load` reads what there is of a run; `verdict`, `sections`, `facts` and `figures` make of it what is
to be shown, as plain data; `page` and `texts` write that down.
"""
