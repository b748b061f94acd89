//! What requests to cloud backends cost. Money is only reckoned here; nothing is reserved or refused yet.

pub mod price;
