# Turns .sql files into C: each part behind a line `-- name` (one word, at the line's beginning) becomes
# `const char sql_name[]`, other lines that begin with `--` are dropped. With -v header=1, only its declaration.
function finish() {
	if (name != "")
		print header ? "" : "\t;"
	name = ""
}
BEGIN { print header ? "/* Made from .sql files. */\n#ifndef CLINIC_SQL_H\n#define CLINIC_SQL_H" : "#include \"clinic_sql.h\"" }
/^-- [a-z0-9_]+$/ {
	finish()
	name = $2
	print "extern const char sql_" name "[];"
	if (!header)
		print "const char sql_" name "[] ="
	next
}
/^--/ || name == "" { next }
!header {
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	print "\t\"" $0 "\\n\""
}
END {
	finish()
	if (header)
		print "#endif"
}
