//! Prints an access token: `APP_TOKEN_SECRET=… cargo run --example mint -- alice pro`.
//!
//! `token.rs` is the code shown in docs/identity.md. `tests/api/minting.rs` compares the two and runs this example.

#![allow(clippy::print_stdout, reason = "the example prints a token")]

mod token;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(user_id), Some(plan)) = (arguments.next(), arguments.next()) else {
        return Err("usage: mint USER PLAN".into());
    };
    println!("{}", token::token_for(&user_id, &plan)?);
    Ok(())
}
