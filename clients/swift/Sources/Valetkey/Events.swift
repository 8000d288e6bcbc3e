import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The states of a prediction. Reads its event stream, or polls where no stream is available.
struct Events: Sendable {
    /// Seconds. The API sends a comment every 15 s. A stream that misses two of them is dead.
    private static let silence: TimeInterval = 35
    /// How long failures may last before the stream throws, in seconds: enough for an elevator, a tunnel or a change of
    /// networks. Time that the app was suspended does not count.
    private static let patience: TimeInterval = 180
    /// The longest time that one failure adds to the failure time, in seconds. A longer gap between two failures means
    /// that the app was suspended.
    private static let longestGap: TimeInterval = 60
    /// The longest pause between two rounds without a failure, in seconds.
    private static let longestPause: TimeInterval = 5
    /// After a 429, polls this many times before it requests a stream again.
    private static let pollsBeforeStream = 8

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

    /// The progress of one call of `follow`.
    private struct Progress {
        var lastID = ""
        var seen: Prediction?
        var failures = 0
        var failingFor: TimeInterval = 0
        private var failedAt: TimeInterval = 0

        /// Delivers a state if it is new. Returns whether the prediction has ended.
        mutating func take(_ prediction: Prediction, _ deliver: (Prediction) -> Void) -> Bool {
            failures = 0
            if prediction != seen { deliver(prediction) }
            seen = prediction
            return prediction.hasEnded
        }

        mutating func fail(at now: TimeInterval) {
            failingFor = failures == 0 ? 0 : failingFor + min(now - failedAt, Events.longestGap)
            failedAt = now
            failures += 1
        }
    }

    private func follow(_ deliver: (Prediction) -> Void) async throws {
        var progress = Progress()
        var streamsFrom = 0
        for round in 0... {
            var delay = min(Self.longestPause, pow(1.3, Double(round)))
            do {
                let hasEnded = try await (round < streamsFrom ? poll(&progress, deliver) : read(&progress, deliver))
                if hasEnded { return }
                // A stream ends after five minutes, or when its token expires. The next round resumes it.
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: true) {
                progress.fail(at: Uptime.now)
                if progress.failingFor >= Self.patience { throw error }
                // 429: four streams are open, or a rate limit is reached. Poll for a while. Time-out: a proxy on the
                // way buffers streams. Poll from now on.
                if error.status == 429 { streamsFrom = max(streamsFrom, round + 1 + Self.pollsBeforeStream) }
                if error.code == .timeout { streamsFrom = .max }
                delay = Connection.backoff(tries: progress.failures, retryAfter: error.retryAfter)
            }
            try await Connection.sleep(delay)
        }
    }

    /// Polls once, when it is this prediction's turn. Returns whether the prediction has ended.
    private func poll(_ progress: inout Progress, _ deliver: (Prediction) -> Void) async throws -> Bool {
        try await Connection.sleep(connection.polls.reserve(now: Uptime.now))
        // One attempt only: `follow` retries, so that retries take turns too.
        let data = try await connection.attempt(.init(path: path))
        return progress.take(try Connection.decode(Prediction.self, from: data), deliver)
    }

    /// Reads the event stream until it closes. Returns whether the prediction has ended.
    private func read(_ progress: inout Progress, _ deliver: (Prediction) -> Void) async throws -> Bool {
        var headers = ["Accept": "text/event-stream"]
        if !progress.lastID.isEmpty { headers["Last-Event-ID"] = progress.lastID }
        let response = try await connection.open(Connection.Call(path: path + "/events", headers: headers, timeout: Self.silence))
        guard response.head.value(forHTTPHeaderField: "Content-Type")?.lowercased().hasPrefix("text/event-stream") == true else {
            throw ValetkeyError(.unreadableAnswer, "The response is not an event stream.")
        }
        var lines = LineSplitter()
        var parser = EventParser()
        var hasEnded = false
        try await Connection.mappingErrors {
            try await response.read { piece in
                for byte in piece {
                    guard let line = try lines.take(byte) else { continue }
                    // A comment shows that the stream is alive.
                    if line.hasPrefix(":") { progress.failures = 0 }
                    guard let event = try parser.take(line: line), event.type == "status" else { continue }
                    let prediction = try Connection.decode(Prediction.self, from: Data(event.data.utf8))
                    // Set only after decoding, so that an event that cannot be decoded is requested again.
                    progress.lastID = event.id
                    hasEnded = progress.take(prediction, deliver)
                    if hasEnded { return false }
                }
                return true
            }
        }
        return hasEnded
    }
}

/// The poll turns of all predictions that one client polls. They allow at most 40 polls a minute, which leaves room
/// within a limit of 60 requests a minute.
final class PollTurns: @unchecked Sendable {
    /// Seconds from one poll to the next.
    static let interval: TimeInterval = 1.5

    private let lock = NSLock()
    /// Time of the next free turn on the clock of `Uptime`. Protected by `lock`.
    private var nextAt: TimeInterval = 0

    /// Takes the next free turn. Returns the time until that turn in seconds.
    func reserve(now: TimeInterval) -> TimeInterval {
        lock.lock()
        defer { lock.unlock() }
        let turn = max(now, nextAt)
        nextAt = turn + Self.interval
        return turn - now
    }
}
