"""Tables in, pictures and one page out; nothing here knows a run or reads a file of one."""
