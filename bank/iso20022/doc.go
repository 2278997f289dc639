// Package iso20022 has the messages that are exchanged with a bank, as far as this platform needs them: what it sends, what it is
// answered, and what the bank's book says.
//
//	pain.001.001.09  CustomerCreditTransferInitiation  [Initiation]    pay this
//	pacs.002.001.10  FIToFIPaymentStatusReport         [StatusReport]  what became of it
//	camt.053.001.08  BankToCustomerStatement           [StatementReader], [StatementWriter]  the book of a day
//	camt.054.001.08  BankToCustomerDebitCreditNotification  [Notification]  what has come in
//
// These versions belong together: they are those of the CBPR+ and SEPA guidelines since November 2023. Names and order of elements follow
// the schemas of the ISO 20022 catalogue (iso20022.org, message definitions pain, pacs and camt); what the schemas allow and this platform
// has no use for is left out of the types. An instruction with such an element is refused, since to ignore a part of an order may be to
// carry out another one; in what a bank says, elements that are not known here are passed over, and those that are known have to be in
// their place, as often as they may be.
//
// Reading is strict: UTF-8, one namespace, no document type, no entity of one's own, no second root, a bound on the size. Amounts are
// digits with at most the decimals that ISO 4217 gives the currency; ids are 1 to 35 characters of the set that every bank takes; an IBAN
// has the length of its country and the check digits of ISO 7064. The package is pure: no clock, no disk.
package iso20022
