//! A scanner that speaks clamd's protocol, and finds what the test calls a virus.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// What it finds.
pub(crate) const VIRUS: &[u8] = b"THIS-IS-A-VIRUS";

/// Answers on that listener as long as the test runs.
pub(crate) fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut command = [0; 10];
    stream.read_exact(&mut command)?;
    assert_eq!(&command, b"zINSTREAM\0");
    let mut file = Vec::new();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            break;
        }
        let start = file.len();
        file.resize(start + length, 0);
        stream.read_exact(&mut file[start..])?;
    }
    let is_infected = file.windows(VIRUS.len()).any(|it| it == VIRUS);
    stream.write_all(if is_infected { b"stream: Test.Virus-1 FOUND\0" } else { b"stream: OK\0" })
}
