// Package street is a street with shops in which people buy: it replays recorded orders (package retail) at a platform, as trades between merchants
// and customers that it registers, so that a sandbox is alive. Everything goes through the public API, with an operator's key: there is nothing in it
// that would not work elsewhere.
//
// The amounts are a tenth of the recorded pence, as fen; orders above [most] are left out, with their refunds. Who paid by code, on a page or under
// escrow was not recorded: the street chooses that by the number of the order. Orders come in the recorded rhythm, some hundred times faster.
//
// What it has made stands in one file, so that another start goes on where the last one was; numbers of trades follow from the recorded ones, so that
// what is done again after a crash is done once.
package street
