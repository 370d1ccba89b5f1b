"""Who may change the document: signatures of operators, and what one change may do at once."""
