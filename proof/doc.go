// Package proof makes answers of sites into evidence: a site signs an answer with the key of its certificate, and anybody who has the
// certificate of the fleet's authority can tell later, without asking anyone, which site said it, when, and to what question.
//
// Signatures are HTTP message signatures ([RFC 9421]) over the question (method, path, query), the status and the digest of the
// content ([RFC 9530]), made with ECDSA on P-256 and SHA-256. The certificate travels in the header Holdfast-Certificate.
//
// [RFC 9421]: https://www.rfc-editor.org/rfc/rfc9421
// [RFC 9530]: https://www.rfc-editor.org/rfc/rfc9530
package proof
