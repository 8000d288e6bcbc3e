import Foundation

/// The layer between `Valetkey` and `URLSession`: adds the token, limits the time, retries, and maps failures to
/// errors.
final class Connection: Sendable {
    struct Call: Sendable {
        var method = "GET"
        /// Starts with `/v1`.
        var path: String
        var headers: [String: String] = [:]
        var body: Data?
        /// The longest time without a byte, in seconds.
        var timeout: TimeInterval = 20
        /// Whether sending it twice is harmless.
        var isRepeatable = true
    }

    /// 4 MiB. A prediction is a few kilobytes, and a list of 100 predictions is smaller than this limit.
    private static let maxAnswerBytes = 4 << 20
    private static let maxTries = 4
    /// How long a create is repeated while the first one with its key is in flight, in seconds: a little longer than
    /// the API may wait for the vendor.
    private static let inProgress: TimeInterval = 60

    let session: URLSession
    private let base: String
    private let tokens: TokenStore
    private let attestations: TokenStore?

    init(
        baseURL: URL, configuration: URLSessionConfiguration, appCheck: (@Sendable () async throws -> String)?,
        tokenProvider: @escaping TokenProvider
    ) throws {
        guard let scheme = baseURL.scheme?.lowercased(), let host = baseURL.host else { throw URLError(.badURL) }
        // Plain http would expose the token on the network, so only this machine may use it.
        guard scheme == "https" || (scheme == "http" && ["localhost", "127.0.0.1", "::1"].contains(host)),
            baseURL.user == nil, baseURL.query == nil, baseURL.fragment == nil
        else {
            throw URLError(.appTransportSecurityRequiresSecureConnection)
        }
        // A background session has no async calls. The copy leaves the caller's own object unchanged.
        guard configuration.identifier == nil, let configuration = configuration.copy() as? URLSessionConfiguration else {
            throw URLError(.unsupportedURL)
        }
        var base = baseURL.absoluteString
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
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
        session = URLSession(configuration: configuration, delegate: RedirectRefusal(), delegateQueue: nil)
    }

    deinit {
        session.finishTasksAndInvalidate()
    }

    /// Sends a request and returns the decoded response.
    func send<Answer: Decodable>(_ call: Call, as type: Answer.Type) async throws -> Answer {
        let data = try await send(call)
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw ValetkeyError(.unreadableAnswer, "The response is not from Valetkey.")
        }
    }

    /// Sends a request and retries it where that may help. Throws a `ValetkeyError`, or `CancellationError`.
    func send(_ call: Call) async throws -> Data {
        try await repeating(isRepeatable: call.isRepeatable) {
            let (bytes, _) = try await self.open(call)
            return try await Self.mappingErrors { try await Self.read(bytes) }
        }
    }

    func repeating<T>(isRepeatable: Bool, _ attempt: () async throws -> T) async throws -> T {
        let startedAt = Date()
        var tries = 1
        while true {
            do {
                return try await attempt()
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: isRepeatable) {
                // While the first create with a key is in flight, the API refuses the second with `Retry-After: 1`.
                // Those refusals are limited by time and not by number.
                let isLast = error.code.rawValue == "idempotency_in_progress" ? Date().timeIntervalSince(startedAt) > Self.inProgress : tries >= Self.maxTries
                if isLast { throw error }
                try await Self.sleep(Self.backoff(tries: min(tries, Self.maxTries), retryAfter: error.retryAfter))
                tries += 1
            }
        }
    }

    /// Sends a request once, and a second time with a new token if the API refuses the first token. Returns a
    /// successful response whose body is not read yet.
    func open(_ call: Call) async throws -> (URLSession.AsyncBytes, HTTPURLResponse) {
        try await authorized(call) { request in
            let (bytes, response) = try await self.session.bytes(for: request)
            guard let answer = response as? HTTPURLResponse else { throw ValetkeyError(.unreadableAnswer, "The response is not HTTP.") }
            guard (200..<300).contains(answer.statusCode) else {
                throw ValetkeyError(answer: answer, body: (try? await Self.read(bytes)) ?? Data())
            }
            return (bytes, answer)
        }
    }

    /// Calls `send` with the authorized request, and a second time with a new token if the API refuses the first token.
    func authorized<T>(_ call: Call, _ send: (URLRequest) async throws -> T) async throws -> T {
        let token = try await tokens.token()
        do {
            let request = try await self.request(for: call, token: token)
            return try await Self.mappingErrors { try await send(request) }
        } catch let error as ValetkeyError where error.status == 401 {
            // The token was revoked, or expired earlier than expected.
            await tokens.refuse(token)
            let fresh = try await tokens.token()
            let request = try await self.request(for: call, token: fresh)
            return try await Self.mappingErrors { try await send(request) }
        }
    }

    private func request(for call: Call, token: String) async throws -> URLRequest {
        guard let url = URL(string: base + call.path) else { throw ValetkeyError(Code(rawValue: "invalid_parameter"), "The address is not a URL.") }
        var request = URLRequest(url: url, timeoutInterval: call.timeout)
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

    private static func read(_ bytes: URLSession.AsyncBytes) async throws -> Data {
        defer { bytes.task.cancel() }
        var data = Data()
        for try await byte in bytes {
            guard data.count < maxAnswerBytes else { throw EventParser.TooLong() }
            data.append(byte)
        }
        return data
    }
}

/// Refuses redirects. The API never redirects, so a redirect comes from another server, which must not get the token.
private final class RedirectRefusal: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}
