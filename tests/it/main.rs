//! What a node promises, tested from outside: real sockets, scripted backends, clients that see every byte. One binary,
//! so that it links once.

mod support;

mod relay;
