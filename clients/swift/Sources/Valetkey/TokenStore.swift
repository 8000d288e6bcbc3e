import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Returns a JWT for the signed-in user. If `forceRefresh` is true, the API refused the last one: do not return a
/// cached token.
///
/// Throw a `URLError` for a temporary failure, such as no network: the client retries. It also retries after a
/// `CancellationError` and after an error with an underlying `URLError` (`NSUnderlyingErrorKey`), such as Firebase's.
/// After any other error, and after a `URLError` with `.userAuthenticationRequired` or `.userCancelledAuthentication`,
/// the user has to sign in.
public typealias TokenProvider = @Sendable (_ forceRefresh: Bool) async throws -> String

/// A store of the app's tokens, or of its attestations. Concurrent callers share one request to the app. Tokens are
/// kept in memory only.
actor TokenStore {
    /// A token that expires within this many seconds is replaced before it is used, so that it does not expire in
    /// transit.
    private static let renewBeforeEnd: TimeInterval = 30
    /// The assumed lifetime of a token that cannot be read, in seconds. The API decides whether it is valid.
    private static let assumedLifetime: TimeInterval = 60

    private let provider: TokenProvider
    private let keepsTokens: Bool
    private let patience: TimeInterval
    private var held: (token: String, renewAt: TimeInterval)?
    private var forceRefresh = false
    private var requests = 0
    /// The number of the request that the waiters wait for.
    private var pending: Int?
    private var timer: Task<Void, Never>?
    private var waiters: [UUID: CheckedContinuation<String, Error>] = [:]

    /// - Parameters:
    ///   - keepsTokens: whether a token is kept until shortly before it expires. If false, each call asks the provider.
    ///   - patience: the time-out of a request to the provider, in seconds.
    init(_ provider: @escaping TokenProvider, keepsTokens: Bool = true, patience: TimeInterval = 20) {
        self.provider = provider
        self.keepsTokens = keepsTokens
        self.patience = patience
    }

    /// Returns a token that does not expire soon. A canceled caller stops waiting at once; the request continues for
    /// the other callers.
    func token() async throws -> String {
        try Task.checkCancellation()
        if let held, Uptime.now < held.renewAt { return held.token }
        let id = UUID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<String, Error>) in
                // The task was canceled before this waiter was registered, so the handler below did not find it.
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                    return
                }
                waiters[id] = continuation
                if pending == nil { startRequest() }
            }
        } onCancel: {
            Task { await self.leave(id) }
        }
    }

    /// Forgets a token that the API refused. A newer token that arrived meanwhile stays.
    func refuse(_ token: String) {
        guard held?.token == token else { return }
        held = nil
        forceRefresh = true
    }

    private func leave(_ id: UUID) {
        waiters.removeValue(forKey: id)?.resume(throwing: CancellationError())
    }

    private func startRequest() {
        requests += 1
        let number = requests
        pending = number
        // Unstructured tasks, so that canceling a caller does not cancel them.
        timer = Task { await self.giveUp(number) }
        Task { await self.request(number) }
    }

    private func request(_ number: Int) async {
        let askedAt = Uptime.now
        let outcome = await Self.outcome(of: provider, forceRefresh: forceRefresh)
        let isAwaited = pending == number
        if isAwaited {
            pending = nil
            timer?.cancel()
        }
        switch outcome {
        case .success(let token):
            // A token that arrives after the time-out is used too, unless it is older than another token or than a
            // refusal.
            guard isAwaited || (held == nil && !forceRefresh) else { return }
            let left = Self.secondsLeft(of: token) ?? Self.assumedLifetime
            if keepsTokens { held = (token, askedAt + max(left - Self.renewBeforeEnd, left / 2)) }
            forceRefresh = false
        case .failure:
            guard isAwaited else { return }
        }
        answer(outcome)
    }

    /// Ends the wait for a provider that never responds: the current waiters get an error, and the next caller starts a
    /// new request.
    private func giveUp(_ number: Int) async {
        do {
            try await Task.sleep(nanoseconds: UInt64(patience * 1_000_000_000))
        } catch {
            return
        }
        guard pending == number else { return }
        pending = nil
        // The code is not `timeout`: `Events` takes that for a stream that something on the way buffers.
        answer(.failure(ValetkeyError(.network, "The token provider did not respond in time.")))
    }

    private func answer(_ outcome: Result<String, Error>) {
        let answered = waiters
        waiters = [:]
        for waiter in answered.values { waiter.resume(with: outcome) }
    }

    private static func outcome(of provider: TokenProvider, forceRefresh: Bool) async -> Result<String, Error> {
        do {
            let token = try await provider(forceRefresh)
            // A line break would inject a header.
            guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                return .failure(ValetkeyError(.noToken, "The token provider did not return a token."))
            }
            return .success(token)
        } catch let error as ValetkeyError {
            return .failure(error)
        } catch {
            return .failure(ValetkeyError(passes(error) ? .network : .noToken, "Getting a token failed: \(error.localizedDescription)"))
        }
    }

    /// Returns whether the app's own function failed temporarily, such as for lack of a network. This client never
    /// cancels the function's task, so a `CancellationError` is the function's own.
    static func passes(_ error: Error) -> Bool {
        var next: Error? = error
        // A chain of underlying errors may be a cycle.
        for _ in 0..<8 {
            guard let current = next else { return false }
            if current is CancellationError { return true }
            let known = current as NSError
            if known.domain == NSURLErrorDomain {
                return known.code != NSURLErrorUserAuthenticationRequired && known.code != NSURLErrorUserCancelledAuthentication
            }
            next = known.userInfo[NSUnderlyingErrorKey] as? Error
        }
        return false
    }

    /// Returns the remaining lifetime of a JWT by its own times, in seconds, or nil if it cannot be read. Verifies
    /// nothing: the API does.
    static func secondsLeft(of token: String, now: TimeInterval = Date().timeIntervalSince1970) -> TimeInterval? {
        struct Times: Decodable {
            let iat: TimeInterval
            let exp: TimeInterval
        }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var payload = parts[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        while payload.count % 4 != 0 { payload += "=" }
        guard let data = Data(base64Encoded: payload), let times = try? JSONDecoder().decode(Times.self, from: data), times.exp > times.iat else { return nil }
        // A token that was just handed out is valid. If its own times say otherwise, this device's clock is wrong.
        let isClockWrong = now < times.iat || now >= times.exp
        return isClockWrong ? times.exp - times.iat : times.exp - now
    }
}
