//! Everything that needs both binaries, real applications or a real browser. One binary, so that
//! it is linked once.

mod applications;
mod bad_input;
mod capture;
mod clients;
mod disks;
mod exactly_once;
mod guests;
mod lossy;
mod offline;
mod operator;
mod power;
mod processors;
mod routes;
mod storm;
mod syscalls;
mod time_zone;
