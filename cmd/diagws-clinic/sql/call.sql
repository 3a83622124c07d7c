-- An entry of a batch is undone by itself.

-- call_save
SAVEPOINT entry

-- call_undo
ROLLBACK TO entry

-- call_release
RELEASE entry

-- Both together change nothing, but a commit of them is written: one that leaves each row as it is would not be.

-- call_grow
UPDATE clinic SET tag = tag || ' ' WHERE one = 1

-- call_shrink
UPDATE clinic SET tag = rtrim(tag) WHERE one = 1
