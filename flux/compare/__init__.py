"""Comparing runs: what differs, how sure that is, and whether it is too much.

draws       what a figure might have been, had the run been made again
intervals   confidence intervals of differences
batches     how much more figures vary than those of independent requests would
figures     what is compared, and how many values each needs
comparison  two results, step by step
limits      `p99 > +5%`: what makes a difference too much
text, page  the table, and a page of HTML
"""
