"""What each answer of the simulator says, for the terminal and for the page alike.

Owns the words, one file for each kind of answer: a function from the answer to the parts of a page.
Must never measure or decide.
"""
