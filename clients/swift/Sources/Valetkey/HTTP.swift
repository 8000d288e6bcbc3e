import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A response whose headers have arrived. Its body arrives in pieces.
struct Response: Sendable {
    let head: HTTPURLResponse
    fileprivate let exchange: Exchange

    /// Passes each piece of the body to `take`, until it returns false or the body ends. The connection is closed if
    /// the body is not read to its end.
    func read(_ take: (Data) throws -> Bool) async throws {
        defer { exchange.stop() }
        while let piece = try await exchange.nextPiece() {
            guard try take(piece) else { return }
        }
    }
}

/// The delegate of the client's `URLSession`. Forwards the callbacks of each task to the call that waits for it.
///
/// `URLSession.bytes(for:)` would be shorter, but Foundation for Linux lacks it. With a delegate, tests on Linux run
/// the same code as Apple's platforms.
final class Exchanges: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let lock = NSLock()
    /// Transfers by task identifier. Protected by `lock`.
    private var running: [Int: Exchange] = [:]

    /// Starts a task of this object's session and waits for the response's headers. While the body is sent,
    /// `onProgress` gets the bytes sent and the total.
    func start(_ task: URLSessionTask, onProgress: (@Sendable (Int64, Int64) -> Void)?) async throws -> Response {
        let exchange = Exchange(task, onProgress: onProgress)
        locked { running[task.taskIdentifier] = exchange }
        task.resume()
        do {
            return Response(head: try await exchange.nextHead(), exchange: exchange)
        } catch {
            exchange.stop()
            throw error
        }
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        exchange(of: dataTask)?.received(response)
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        exchange(of: dataTask)?.received(data)
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didSendBodyData bytesSent: Int64, totalBytesSent: Int64, totalBytesExpectedToSend: Int64) {
        exchange(of: task)?.onProgress?(totalBytesSent, totalBytesExpectedToSend)
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?) {
        locked { running.removeValue(forKey: task.taskIdentifier) }?.ended(error)
    }

    /// Refuses redirects. The API never redirects, so a redirect comes from another server, which must not receive the
    /// token.
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    private func exchange(of task: URLSessionTask) -> Exchange? {
        locked { running[task.taskIdentifier] }
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        lock.lock()
        defer { lock.unlock() }
        return body()
    }
}

/// A request and the part of its response that has arrived.
private final class Exchange: @unchecked Sendable {
    private enum Part: Sendable {
        case head(URLResponse)
        case piece(Data)
    }

    /// Limit for bytes that have arrived but are unread: 8 MiB. The client reads faster than any network delivers, so
    /// reaching the limit means a fault.
    private static let maxUnread = 8 << 20

    let onProgress: (@Sendable (Int64, Int64) -> Void)?
    private let task: URLSessionTask
    private let parts: AsyncThrowingStream<Part, Error>
    private let incoming: AsyncThrowingStream<Part, Error>.Continuation
    private let lock = NSLock()
    /// Bytes that have arrived but are unread. Protected by `lock`.
    private var unread = 0

    init(_ task: URLSessionTask, onProgress: (@Sendable (Int64, Int64) -> Void)?) {
        self.task = task
        self.onProgress = onProgress
        (parts, incoming) = AsyncThrowingStream<Part, Error>.makeStream()
        // Runs also when the waiting Swift task is canceled.
        incoming.onTermination = { [task] _ in task.cancel() }
    }

    func received(_ response: URLResponse) {
        incoming.yield(.head(response))
    }

    func received(_ data: Data) {
        if count(data.count) > Self.maxUnread { incoming.finish(throwing: EventParser.TooLong()) } else { incoming.yield(.piece(data)) }
    }

    func ended(_ error: Error?) {
        incoming.finish(throwing: error)
    }

    func stop() {
        incoming.finish()
    }

    func nextHead() async throws -> HTTPURLResponse {
        guard case .head(let response)? = try await next() else { throw URLError(.badServerResponse) }
        guard let head = response as? HTTPURLResponse else { throw ValetkeyError(.unreadableAnswer, "The response is not HTTP.") }
        return head
    }

    func nextPiece() async throws -> Data? {
        while let part = try await next() {
            guard case .piece(let data) = part else { continue }
            count(-data.count)
            return data
        }
        return nil
    }

    /// If the reading task is canceled, the stream ends without an error.
    private func next() async throws -> Part? {
        var parts = parts.makeAsyncIterator()
        let part = try await parts.next()
        try Task.checkCancellation()
        return part
    }

    @discardableResult
    private func count(_ bytes: Int) -> Int {
        lock.lock()
        defer { lock.unlock() }
        unread += bytes
        return unread
    }
}
