package badcorpus

// pipelines are the sound pipeline files that the inputs are run with.
func pipelines() map[string]string {
	const head = "version: 1\nname: bad\n"
	return map[string]string{
		"csv.yaml":     "# Columns are inferred.\n" + head + "source: {format: csv}\n",
		"jsonl.yaml":   "# Columns are inferred.\n" + head + "source: {format: jsonl}\n",
		"parquet.yaml": head + "source: {format: parquet}\n",
		"gzip.yaml":    head + "source: {format: csv, compression: gzip}\n",
		"strict.yaml": head + `source: {format: csv}
schema:
  columns:
    id: int64
    name: {type: string, checks: [not_null]}
    amount: decimal(10,2)
    at: timestamp
`,
		"strict-jsonl.yaml": head + `source: {format: jsonl}
schema:
  columns:
    id: int64
    name: string
    amount: decimal(10,2)
`,
	}
}

// pipelineCases are pipeline files that are wrong, each run over good.csv. Their name is the pipeline's.
func pipelineCases() []Case {
	bad := func(name, wrong, words, content string) Case {
		return text(name, name, exitUsage, wrong, name+":"+words, content)
	}
	const head, source = "version: 1\nname: bad\n", "source: {format: csv}\n"
	return []Case{
		bad("pipeline-empty.yaml", "an empty pipeline file", "1:1|empty", ""),
		bad("pipeline-not-yaml.yaml", "a pipeline file with an open bracket", "3:9|read YAML", head+"source: {format: csv\n"),
		bad("pipeline-latin1.yaml", "a pipeline file that is not UTF-8", "2:10|UTF-8", "version: 1\nname: caf\xe9\n"),
		bad("pipeline-tab.yaml", "a tab as indentation", "4:1|tab", head+"source:\n\tformat: csv\n"),
		bad("pipeline-key.yaml", "a key misspelt", "3:1|unknown key|souce|source", head+"souce: {format: csv}\n"),
		bad("pipeline-nested-key.yaml", "a key of an inner block misspelt", "4:9|unknown key|delimeter|delimiter", head+"source:\n  csv: {delimeter: \",\"}\n"),
		bad("pipeline-duplicate-key.yaml", "one key twice", "4:1|duplicate key|source", head+source+source),
		bad("pipeline-format.yaml", "a format that there is not", "3:18|unknown format|cvs|csv", head+"source: {format: cvs}\n"),
		bad("pipeline-type.yaml", "a type misspelt", "5:9|unknown type|strnig|string", head+"schema:\n  columns:\n    id: strnig\n"),
		bad("pipeline-version.yaml", "a version that there is not", "1:10|version", "version: 3\nname: bad\n"),
		bad("pipeline-alias.yaml", "YAML aliases that unfold to a great many", "3:9|anchors", head+"schema: &a {columns: {}}\nsource: *a\n"),
		bad("pipeline-step.yaml", "a step misspelt", "5:5|fliter|filter", head+source+"steps:\n  - fliter: amount > 0\n"),
		bad("pipeline-column.yaml", "an expression over a column that there is not", "5:13|amuont|amount", head+source+"steps:\n  - filter: amuont > 0\n"),
		bad("pipeline-syntax.yaml", "an expression that ends too early", "5:|", head+source+"steps:\n  - filter: amount >\n"),
		bad("pipeline-function.yaml", "a function that there is not", "5:|uper|", head+source+"steps:\n  - filter: uper(name) = 'ADA'\n"),
		bad("pipeline-boolean.yaml", "a filter that is no condition", "5:|bool", head+source+"steps:\n  - filter: amount + 1\n"),
		bad("pipeline-variable.yaml", "a variable that nobody set", "3:19|variable|DAY", head+"source: {uri: \"in/${DAY}.csv\"}\n"),
	}
}
