// Package spec is the pipeline file as text: strict YAML whose every node knows its line and column.
package spec
