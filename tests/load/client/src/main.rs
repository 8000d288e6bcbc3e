//! `valetkey-load run ADDRESS SECONDS CONNECTIONS STATUS FILE`: a closed loop of HTTP/1.1 requests, one thread per
//! connection. FILE has one request per line, which the connections send in turn. Every response must have one of
//! STATUS, such as `201,202`. Prints `{"rps":…,"p50_us":…,"p99_us":…,"requests":…}`.
//!
//! `valetkey-load upstream PORT`: responds to each GET with an ended prediction, to each POST with 201 and the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["run", address, seconds, connections, status, file] => {
            let requests = read_requests(file)?;
            run(address, Duration::from_secs_f64(seconds.parse()?), connections.parse()?, status, &requests)
        }
        ["upstream", port] => upstream(port.parse()?),
        _ => Err("see the first lines of main.rs for the arguments".into()),
    }
}

/// Reads the requests. Each line is one raw HTTP request in which the four characters `\r\n` stand for CR LF.
fn read_requests(file: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let text = std::fs::read_to_string(file)?;
    Ok(text.lines().map(|line| line.replace("\\r\\n", "\r\n").into_bytes()).collect())
}

fn run(address: &str, time: Duration, connections: usize, status: &str, requests: &[Vec<u8>]) -> Result<(), Failure> {
    let start = Instant::now();
    let latencies: Result<Vec<Vec<u64>>, Failure> = std::thread::scope(|scope| {
        let loops: Vec<_> = (0..connections)
            .map(|offset| scope.spawn(move || one_connection(address, start + time, offset, status, requests)))
            .collect();
        loops.into_iter().map(|one| one.join().map_err(|_| "a connection's thread failed")?).collect()
    });
    let elapsed = start.elapsed().as_secs_f64();
    let mut latencies: Vec<u64> = latencies?.into_iter().flatten().collect();
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    let (count, p50, p99) = (latencies.len(), at(0.50), at(0.99));
    println!("{{\"rps\":{:.1},\"p50_us\":{p50},\"p99_us\":{p99},\"requests\":{count}}}", count as f64 / elapsed);
    Ok(())
}

fn one_connection(
    address: &str,
    end: Instant,
    offset: usize,
    status: &str,
    requests: &[Vec<u8>],
) -> Result<Vec<u64>, Failure> {
    let mut writer = TcpStream::connect(address)?;
    writer.set_nodelay(true)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    let mut latencies = Vec::new();
    let mut body = Vec::new();
    for request in requests.iter().cycle().skip(offset * requests.len() / 16) {
        let start = Instant::now();
        if start >= end {
            break;
        }
        writer.write_all(request)?;
        let line = read_message(&mut reader, &mut body)?;
        if !line.split(' ').nth(1).is_some_and(|seen| status.split(',').any(|known| known == seen)) {
            return Err(format!("not {status}: {line}{}", String::from_utf8_lossy(&body)).into());
        }
        latencies.push(u64::try_from(start.elapsed().as_micros())?);
    }
    Ok(latencies)
}

/// Reads one HTTP message with its body, and returns its first line.
fn read_message(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<String, Failure> {
    let (first, length, chunked) = read_head(reader)?;
    body.clear();
    if !chunked {
        body.resize(length, 0);
        reader.read_exact(body)?;
        return Ok(first);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16)?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        reader.read_exact(body.get_mut(start..).unwrap_or_default())?;
        if size == 0 {
            return Ok(first);
        }
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> Result<(String, usize, bool), Failure> {
    let (mut first, mut length, mut chunked) = (String::new(), 0, false);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err("the connection was closed".into());
        }
        match line.trim().split_once(": ") {
            None => return Ok((first, length, chunked)),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            Some((name, value)) if name.eq_ignore_ascii_case("transfer-encoding") => chunked = value == "chunked",
            Some(_) => {}
        }
    }
}

const PREDICTION: &str = r#"{"job_id":"pred_bench0bench","status":"succeeded","model":"model-x","created_at":"2026-01-15T10:30:00Z","completed_at":"2026-01-15T10:30:45Z","output":["https://cdn.example/outputs/abc123.png"],"metrics":{"predict_time":45.2},"urls":{"get":"https://vendor.example/v1/status/pred_bench0bench","cancel":"https://vendor.example/v1/cancel/pred_bench0bench"}}"#;

fn upstream(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("upstream ready");
    for socket in listener.incoming() {
        let socket = socket?;
        std::thread::spawn(move || serve(socket));
    }
    Ok(())
}

fn serve(mut writer: TcpStream) -> Result<(), Failure> {
    writer.set_nodelay(true)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    let mut body = Vec::new();
    loop {
        let first = read_message(&mut reader, &mut body)?;
        let status = if first.starts_with("POST") { "201 Created" } else { "200 OK" };
        let length = PREDICTION.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all(&[head.as_bytes(), PREDICTION.as_bytes()].concat())?;
    }
}
