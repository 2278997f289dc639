// Package rivals measures what becomes of a stream of messages between two sites when one of their two carriers is cut
// silently, and compares ways to use two carriers: plain TCP that is dialled anew over the other carrier when nothing is
// acknowledged any more; Multipath TCP (RFC 8684), which leaves it to the kernel; and package link.
//
// The ground is four network namespaces: two sites, and for each carrier a router between them that can stop to forward. So the
// kernel's own TCP runs over a line that loses everything without a word, which is what a cut fibre does. It takes root and
// Linux. The cables of package fault cannot carry Multipath TCP: a cable is a relay that ends each TCP connection, and the
// options that join two connections to one end there. Where namespaces cannot be made, the other two run over cables, and the
// result of Multipath TCP says why it is missing.
package rivals
