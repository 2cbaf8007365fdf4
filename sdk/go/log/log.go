// Package log writes lines for the operator, into the agent's log. Never log telemetry. What is printed
// in other ways goes nowhere.
package log

// Debug tells what helps to understand a plugin.
func Debug(message string) { write(2, message) }

// Info tells what has happened.
func Info(message string) { write(3, message) }

// Warn tells what somebody should know.
func Warn(message string) { write(4, message) }

// Error tells what somebody should mend.
func Error(message string) { write(5, message) }
