//go:build race

package main

// raceDetector: memory is a multiple of what it is otherwise, and no bound on it can be held.
const raceDetector = true
