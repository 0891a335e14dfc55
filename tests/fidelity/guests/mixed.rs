// tests/fidelity/guests/mixed.rs: HashMap iteration in its random order, wall and monotonic time.
use std::collections::HashMap;
use std::io::Read;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let started = Instant::now();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("the event is text");
    let mut counts: HashMap<char, usize> = HashMap::new();
    for letter in input.chars() {
        *counts.entry(letter).or_insert(0) += 1;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    eprintln!("{} different letters", counts.len());
    println!("{:?} {:?} {:?}", counts, now, started.elapsed());
}
