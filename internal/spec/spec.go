// Package spec is the pipeline file as text: strict YAML whose every node knows its line and column, and the typed pipeline read
// from it. It knows the file's keys; the steps' own arguments are the steps' business.
package spec
