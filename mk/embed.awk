# SPDX-License-Identifier: Apache-2.0
# Turns text files into a C header, one string for each file: for common/store/scripts/claim.lua
#     static const char <prefix>claim[] = "line\n" "line\n";
# Variables: prefix, and comment: lines that open with this text are dropped, and so are leading
# blanks (scripts travel to the server; their comments and indentation need not).

function close_string()
{
	if (name != "")
		print "    \"\";\n"
}

FNR == 1 {
	close_string()
	name = FILENAME
	sub(/.*\//, "", name)
	sub(/\.[^.]*$/, "", name)
	gsub(/[^A-Za-z0-9_]/, "_", name)
	printf "// From %s.\nstatic const char %s%s[] =\n", FILENAME, prefix, name
}

{
	line = $0
	if (comment != "") {
		sub(/^[ \t]+/, "", line)
		# A block comment would survive half: refuse it rather than ship a broken script.
		if (index(line, "--[") == 1) {
			printf "%s:%d: block comments cannot be embedded\n", FILENAME, FNR > "/dev/stderr"
			failed = 1
			exit 1
		}
		if (line == "" || index(line, comment) == 1)
			next
	}
	gsub(/["\\]/, "\\\\&", line)
	gsub(/\t/, "\\t", line)
	gsub(/\r/, "\\r", line)
	gsub(/\?\?/, "?\\?", line)
	printf "    \"%s\\n\"\n", line
}

END {
	if (!failed)
		close_string()
}
