// Package textval reads typed values from text, exactly or not at all, and prints them back: what CSV cells, JSON
// strings, CAST, schema inference and the quarantine share. Nothing here trims, rounds or guesses.
package textval
