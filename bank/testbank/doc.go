// Package testbank is a bank for tests, drills and the sandbox: a process of its own (holdfast testbank) that takes payments, books them, tells
// what became of them and writes statements, in the messages of package iso20022. It shares nothing with its customers but these messages.
//
// What it has promised it keeps through kill -9: every payment is in its journal, with its end-to-end id and its verdict, before it answers.
// Within that it behaves as badly as it is told to over its control API ([Faults]): slow, down, losing requests and replies, holding requests
// back and carrying them out later, answering twice, settling late, rejecting what it had accepted, and writing statements that say something
// else than its answers.
//
// Bank is the bank, [Bank.Payments] its face to customers and [Bank.Control] the one to those who torment it.
package testbank
