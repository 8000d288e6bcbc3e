import Foundation

/// The states of a prediction. Reads its event stream, or polls where no stream is available.
struct Events: Sendable {
    /// Seconds. The API sends a comment every 15 s. A stream that misses two of them is dead.
    private static let silence: TimeInterval = 35
    /// How long failures may last before the stream throws, in seconds: enough for an elevator, a tunnel or a change of
    /// networks. Time that the app was suspended does not count.
    private static let patience: TimeInterval = 180
    /// The longest time for one attempt and the pause before it, in seconds. Any time beyond it was a suspension of the
    /// app.
    private static let longestTry: TimeInterval = 110

    let connection: Connection
    let path: String

    /// Returns the current state, then each change until the prediction ends.
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
        var failingFor: TimeInterval = 0
        var failedAt = Date()
        var failures = 0
        var rounds = 0
        // Delivers a state if it is new. Returns whether it is the last one.
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
                    let (bytes, answer) = try await connection.open(.init(path: path + "/events", headers: headers, timeout: Self.silence))
                    guard answer.value(forHTTPHeaderField: "Content-Type")?.lowercased().hasPrefix("text/event-stream") == true else {
                        bytes.task.cancel()
                        throw ValetkeyError(.unreadableAnswer, "The response is not an event stream.")
                    }
                    let hasEnded = try await Connection.mappingErrors {
                        try await read(bytes) { event in
                            guard let event else {
                                failures = 0
                                return false
                            }
                            guard event.type == "status" else { return false }
                            guard let prediction = try? JSONDecoder().decode(Prediction.self, from: Data(event.data.utf8)) else {
                                throw ValetkeyError(.unreadableAnswer, "The response is not from Valetkey.")
                            }
                            // Only after decoding: an event that cannot be decoded is no sign of life, and is requested
                            // again.
                            (lastID, failures) = (event.id, 0)
                            return take(prediction)
                        }
                    }
                    if hasEnded { return }
                } else {
                    let prediction = try await connection.send(.init(path: path), as: Prediction.self)
                    failures = 0
                    if take(prediction) { return }
                }
                // A stream ends after five minutes, or when its token expires. The next round of the loop resumes it.
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: true) {
                failingFor = failures == 0 ? 0 : failingFor + min(max(0, Date().timeIntervalSince(failedAt)), Self.longestTry)
                failedAt = Date()
                if failingFor > Self.patience { throw error }
                failures += 1
                // 429: four streams are open already. Time-out: something on the way buffers streams. Poll instead.
                if error.status == 429 || error.code == .timeout { canStream = false }
                delay = Connection.backoff(tries: failures, retryAfter: error.retryAfter)
            }
            try await Connection.sleep(delay)
        }
    }

    /// Passes each event to `take`, and `nil` for each comment as a sign of life. Returns true once `take` reports the
    /// last state, or false at the stream's end.
    private func read(_ bytes: URLSession.AsyncBytes, _ take: (EventParser.Event?) throws -> Bool) async throws -> Bool {
        defer { bytes.task.cancel() }
        var lines = LineSplitter()
        var parser = EventParser()
        for try await byte in bytes {
            guard let line = try lines.take(byte) else { continue }
            let event = try parser.take(line: line)
            guard event != nil || line.hasPrefix(":") else { continue }
            if try take(event) { return true }
        }
        return false
    }
}
