import Foundation

/// A prediction as it changes: read from its event stream, or by looking where no stream can be had.
struct Events: Sendable {
    /// The API sends a comment every 15 s: a stream that is silent for longer than two of them is dead.
    private static let silence: TimeInterval = 35
    /// How long it may fail until nobody is there: a lift, a tunnel, a change of networks. Time that the app was suspended is none of it.
    private static let patience: TimeInterval = 180
    /// One try with the pause before it takes no longer: what is more was a suspension.
    private static let longestTry: TimeInterval = 110

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
        var failingFor: TimeInterval = 0
        var failedAt = Date()
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
                    let (bytes, answer) = try await connection.open(.init(path: path + "/events", headers: headers, timeout: Self.silence))
                    guard answer.value(forHTTPHeaderField: "Content-Type")?.lowercased().hasPrefix("text/event-stream") == true else {
                        bytes.task.cancel()
                        throw ValetkeyError(.unreadableAnswer, "The answer is no event stream.")
                    }
                    let hasEnded = try await Connection.mappingErrors {
                        try await read(bytes) { event in
                            guard let event else {
                                failures = 0
                                return false
                            }
                            guard event.type == "status" else { return false }
                            guard let prediction = try? JSONDecoder().decode(Prediction.self, from: Data(event.data.utf8)) else {
                                throw ValetkeyError(.unreadableAnswer, "The answer is not Valetkey's.")
                            }
                            // Only now: what is not understood is no sign of life, and is asked for again.
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
                // The stream ends after five minutes and with its token: the next one goes on.
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: true) {
                failingFor = failures == 0 ? 0 : failingFor + min(max(0, Date().timeIntervalSince(failedAt)), Self.longestTry)
                failedAt = Date()
                if failingFor > Self.patience { throw error }
                failures += 1
                // Four streams are open already, or something on the way keeps streams back: look instead.
                if error.status == 429 || error.code == .timeout { canStream = false }
                delay = Connection.backoff(tries: failures, retryAfter: error.retryAfter)
            }
            try await Connection.sleep(delay)
        }
    }

    /// Hands on each event, and `nil` for each comment as a sign of life, until `take` says that it was the last.
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
