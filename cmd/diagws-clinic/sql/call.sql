-- An entry of a batch is undone by itself.

-- call_save
SAVEPOINT entry

-- call_undo
ROLLBACK TO entry

-- call_release
RELEASE entry
