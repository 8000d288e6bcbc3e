import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The layer between `Valetkey` and `URLSession`: adds the token, limits the time, retries, and maps failures to
/// errors.
final class Connection: Sendable {
    struct Call: Sendable {
        var method = "GET"
        /// Starts with `/v1`.
        var path: String
        var headers: [String: String] = [:]
        var body: Data?
        /// A file to send as the body. It is not read into memory.
        var file: URL?
        /// The longest time without a byte, in seconds.
        var timeout: TimeInterval = 20
        /// True if sending the request twice is harmless.
        var isRepeatable = true
        /// Called with the bytes sent and the total.
        var onProgress: (@Sendable (Int64, Int64) -> Void)?
    }

    /// 4 MiB. A prediction is a few kilobytes, and a list of 100 predictions is smaller than this limit.
    private static let maxAnswerBytes = 4 << 20
    private static let maxTries = 4
    /// How long a create is repeated while the first one with its key is in flight, in seconds: a little longer than
    /// the API may wait for the vendor.
    private static let inProgress: TimeInterval = 60

    /// The poll turns of all predictions that this client follows without an event stream.
    let polls = PollTurns()
    private let session: URLSession
    private let exchanges = Exchanges()
    private let base: String
    private let tokens: TokenStore
    private let attestations: TokenStore?

    init(
        base: String, configuration: URLSessionConfiguration, appCheck: (@Sendable () async throws -> String)?,
        tokenProvider: @escaping TokenProvider
    ) throws {
        self.base = base
        // A background session does not support calls that wait for a response. The copy leaves the caller's object
        // unchanged.
        guard configuration.identifier == nil, let configuration = configuration.copy() as? URLSessionConfiguration else {
            throw ValetkeyError.invalid("configuration", "one whose calls can be awaited", "that of a background session")
        }
        tokens = TokenStore(tokenProvider)
        if let appCheck {
            // App Check's SDK keeps its own tokens.
            attestations = TokenStore({ _ in try await appCheck() }, keepsTokens: false)
        } else {
            attestations = nil
        }
        configuration.httpCookieStorage = nil
        configuration.urlCache = nil
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        session = URLSession(configuration: configuration, delegate: exchanges, delegateQueue: nil)
    }

    deinit {
        session.finishTasksAndInvalidate()
    }

    /// Sends a request and returns the decoded response.
    func send<Answer: Decodable>(_ call: Call, as type: Answer.Type) async throws -> Answer {
        try Self.decode(type, from: try await send(call))
    }

    static func decode<Answer: Decodable>(_ type: Answer.Type, from data: Data) throws -> Answer {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw ValetkeyError(.unreadableAnswer, "The response is not from Valetkey.")
        }
    }

    /// Sends a request and retries it where that may help. Throws a `ValetkeyError`, or `CancellationError`.
    @discardableResult
    func send(_ call: Call) async throws -> Data {
        let startedAt = Uptime.now
        var tries = 1
        while true {
            do {
                return try await attempt(call)
            } catch let error as ValetkeyError {
                // While the first create with a key is in flight, the API refuses the second with `Retry-After: 1`.
                // Those refusals do not count as tries; a time limit applies instead.
                let isInProgress = error.code.rawValue == "idempotency_in_progress"
                let isLast = isInProgress ? Uptime.now - startedAt > Self.inProgress : tries >= Self.maxTries
                guard !isLast, error.mayRepeat(isRepeatable: call.isRepeatable) else { throw error }
                try await Self.sleep(Self.backoff(tries: tries, retryAfter: error.retryAfter))
                if !isInProgress { tries += 1 }
            }
        }
    }

    /// Deletes an object. A missing object is no error: after a lost response, this client or URLSession itself sends
    /// the request again, and the first request may already have deleted the object.
    func delete(_ path: String) async throws {
        do {
            try await send(.init(method: "DELETE", path: path))
        } catch let error as ValetkeyError where error.code.rawValue == "not_found" {}
    }

    /// Sends a request without retries and returns the body of a successful response.
    func attempt(_ call: Call) async throws -> Data {
        let response = try await open(call)
        return try await Self.mappingErrors { try await Self.body(of: response) }
    }

    /// Sends a request once, and a second time with a new token if the API refuses the first token. Returns a
    /// successful response with an unread body.
    func open(_ call: Call) async throws -> Response {
        let token = try await tokens.token()
        do {
            return try await open(call, token: token)
        } catch let error as ValetkeyError where error.status == 401 {
            // The token was revoked, or expired earlier than expected.
            await tokens.refuse(token)
            return try await open(call, token: try await tokens.token())
        }
    }

    private func open(_ call: Call, token: String) async throws -> Response {
        let request = try await self.request(for: call, token: token)
        return try await Self.mappingErrors {
            let task = call.file.map { session.uploadTask(with: request, fromFile: $0) } ?? session.dataTask(with: request)
            let response = try await exchanges.start(task, onProgress: call.onProgress)
            guard (200..<300).contains(response.head.statusCode) else {
                throw ValetkeyError(answer: response.head, body: (try? await Self.body(of: response)) ?? Data())
            }
            return response
        }
    }

    private func request(for call: Call, token: String) async throws -> URLRequest {
        guard let url = URL(string: base + call.path) else { throw ValetkeyError(.invalidParameter, "The address is not a URL.") }
        var request = URLRequest(url: url)
        // Set here and not as an argument above, because Foundation for Linux ignores the argument.
        request.timeoutInterval = call.timeout
        request.httpMethod = call.method
        request.httpBody = call.body
        request.httpShouldHandleCookies = false
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        if let attestations {
            let attestation = try await attestations.token()
            request.setValue(attestation, forHTTPHeaderField: "X-Firebase-AppCheck")
        }
        for (name, value) in call.headers { request.setValue(value, forHTTPHeaderField: name) }
        return request
    }

    static func mappingErrors<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch is EventParser.TooLong {
            throw ValetkeyError(.unreadableAnswer, "The response is not from Valetkey.")
        } catch let error where !(error is ValetkeyError || error is CancellationError) {
            // A broken connection throws a URLError, and sometimes a POSIX error.
            let code = (error as? URLError)?.code
            if Task.isCancelled || code == .cancelled { throw CancellationError() }
            throw ValetkeyError(code == .timedOut ? .timeout : .network, error.localizedDescription)
        }
    }

    /// Returns the back-off before the next attempt, in seconds. Adds up to a fifth to a `Retry-After` at random, so
    /// that clients that were refused together do not return together.
    static func backoff(tries: Int, retryAfter: TimeInterval?, random: Double = .random(in: 0..<1)) -> TimeInterval {
        let doubled: Double = 0.5 * pow(2.0, Double(tries - 1))
        let exponential: Double = min(8, doubled) * (0.5 + random / 2)
        return max(exponential, (retryAfter ?? 0) * (1 + 0.2 * random))
    }

    static func sleep(_ seconds: TimeInterval) async throws {
        try await Task.sleep(nanoseconds: UInt64(seconds * 1_000_000_000))
    }

    private static func body(of response: Response) async throws -> Data {
        var data = Data()
        try await response.read { piece in
            guard data.count + piece.count <= maxAnswerBytes else { throw EventParser.TooLong() }
            data.append(piece)
            return true
        }
        return data
    }
}
