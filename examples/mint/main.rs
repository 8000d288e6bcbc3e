//! Prints an access token: `APP_TOKEN_SECRET=… cargo run --example mint -- alice pro`.
//!
//! `token.rs` is what docs/identity.md shows; `tests/api/minting.rs` compares the two and runs this.

#![allow(clippy::print_stdout, reason = "it prints a token")]

mod token;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(user_id), Some(plan)) = (arguments.next(), arguments.next()) else {
        return Err("give a user and a plan".into());
    };
    println!("{}", token::token_for(&user_id, &plan)?);
    Ok(())
}
