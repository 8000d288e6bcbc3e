import Foundation

/// A prediction as it changes: read from its event stream, or by looking where no stream can be had.
struct Events: Sendable {
    /// The API sends a comment every 15 s: a stream that is silent for longer than two of them is dead.
    private static let silence: TimeInterval = 35
    /// How long it may fail until nobody is there: a lift, a tunnel, a change of networks. Time that the app was suspended is none of it.
    private static let patience: TimeInterval = 180

    let connection: Connection
    let path: String

    /// The present state, then each change; ends after the last.
    func stream() -> AsyncThrowingStream<Prediction, Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    try await follow { continuation.yield($0) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private func follow(_ deliver: (Prediction) -> Void) async throws {
        var lastID = ""
        var seen: Prediction?
        var canStream = true
        var failingSince = Date()
        var failures = 0
        var rounds = 0
        // Whether that was the last state.
        func take(_ prediction: Prediction) -> Bool {
            if prediction != seen { deliver(prediction) }
            seen = prediction
            return prediction.hasEnded
        }
        while true {
            var delay = min(5, pow(1.3, Double(rounds)))
            rounds += 1
            do {
                if canStream {
                    var headers = ["Accept": "text/event-stream"]
                    if !lastID.isEmpty { headers["Last-Event-ID"] = lastID }
                    let (bytes, _) = try await connection.open(.init(path: path + "/events", headers: headers, timeout: Self.silence))
                    let hasEnded = try await Connection.mappingErrors {
                        try await read(bytes) { event in
                            failures = 0
                            guard let event, event.type == "status" else { return false }
                            lastID = event.id
                            guard let prediction = try? JSONDecoder().decode(Prediction.self, from: Data(event.data.utf8)) else { return false }
                            return take(prediction)
                        }
                    }
                    if hasEnded { return }
                } else {
                    let prediction = try await connection.send(.init(path: path), as: Prediction.self)
                    failures = 0
                    if take(prediction) { return }
                }
                // The stream ends after five minutes and with its token: the next one goes on.
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: true) {
                if failures == 0 { failingSince = Date() }
                if Date().timeIntervalSince(failingSince) > Self.patience { throw error }
                failures += 1
                // Four streams are open already, or something on the way keeps streams back: look instead.
                if error.status == 429 || error.code == .timeout { canStream = false }
                delay = Connection.backoff(tries: failures, retryAfter: error.retryAfter)
            }
            try await Connection.sleep(delay)
        }
    }

    /// Hands on each event, and `nil` for each line as a sign of life, until `take` says that it was the last.
    private func read(_ bytes: URLSession.AsyncBytes, _ take: (EventParser.Event?) -> Bool) async throws -> Bool {
        var lines = LineSplitter()
        var parser = EventParser()
        for try await byte in bytes {
            guard let line = try lines.take(byte) else { continue }
            if take(try parser.take(line: line)) { return true }
        }
        return false
    }
}
