//! What a node promises, tested from outside: real sockets, scripted backends, clients that see every byte. One binary,
//! so that it links once.

mod support;

// What passes through.
mod queue;
mod relay;
mod streams;
// What clients are told when something is wrong.
mod explain;
mod failures;
mod requests;
// What passes in other words.
mod dialects;
// Who answers.
mod capabilities;
mod circles;
mod engines;
mod fallback;
mod policies;
mod quality;
mod routing;
// What can be seen and changed from outside.
mod access;
mod budget;
mod follow;
mod health;
mod lifecycle;
mod management;
mod metrics;
mod models;
mod page;
mod seen;
mod traces;
// Several nodes.
mod mesh;
// What is changed while it runs.
mod steering;
// What is held, and given back.
mod leaving;
mod limits;
mod logs;
mod shutdown;
mod storm;
// The command line.
mod cli;
