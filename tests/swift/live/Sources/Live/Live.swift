// Runs one scenario against the real Worker. Prints each result as a line for tests/swift/live.test.mjs.
import Foundation
import Valetkey
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

private let model = "black-forest-labs/flux-kontext-max"

/// Takes `SCENARIO BASE_URL TOKEN_URL ARGUMENT`. A GET of `TOKEN_URL` returns a token.
@main
struct Live {
    let scenario: String
    let argument: String
    let client: Valetkey

    static func main() async throws {
        let arguments = CommandLine.arguments
        let tokenURL = URL(string: arguments[3])!
        let client = try Valetkey(baseURL: URL(string: arguments[2])!) { forceRefresh in
            tell("token", forceRefresh)
            let (token, _) = try await URLSession.shared.data(from: tokenURL)
            return String(decoding: token, as: UTF8.self)
        }
        let live = Live(scenario: arguments[1], argument: arguments[4], client: client)
        do {
            try await live.play()
        } catch let error as ValetkeyError {
            tell("error", "\(error.code) \(error.status ?? 0) \(error.advice) \(error.message)")
        } catch is CancellationError {
            tell("error", "canceled task")
        }
    }

    private func play() async throws {
        let (client, argument) = (client, argument)
        switch scenario {
        case "run":
            let ended = try await client.run(model, input: ["prompt": argument]) { tell("state", $0.status) }
            tell("ended", "\(ended.status) \(ended.output.count)")
        case "events":
            let created = try await create()
            for try await prediction in client.events(created.jobID) { tell("state", prediction.status) }
        case "cancel":
            let created = try await create()
            let canceled = try await client.cancel(created.jobID)
            tell("state", "\(canceled.status) \(canceled.cancelRequested ?? false)")
            tell("ended", try await client.wait(created.jobID).status)
            try await client.delete(created.jobID)
            tell("left", try await client.list().data.count)
        case "create":
            tell("state", try await create().status)
        case "get":
            tell("state", try await client.get(argument).status)
        case "follow":
            tell("ended", try await client.wait(argument).status)
        case "follow-many":
            try await withThrowingTaskGroup(of: Void.self) { group in
                for jobID in argument.split(separator: ",") { group.addTask { tell("ended", try await client.wait(String(jobID)).status) } }
                try await group.waitForAll()
            }
        case "delete":
            try await client.deleteFile(argument)
            tell("deleted", argument)
        case "key":
            try await createTwice()
        case "leave":
            try await leave()
        case "waits":
            try await waits()
        case "list":
            try await list()
        case "files":
            try await files()
        case "upload":
            tell("stored", try await client.upload(URL(fileURLWithPath: argument), contentType: "image/png").bytes)
        case "account":
            let account = try await client.account()
            tell("account", "\(account.plan) \(account.usage.creditsSpent) \(account.usage.predictions) \(account.limits.maxWaiting)")
        case "estimate":
            tell("credits", try await client.estimate(model, input: ["prompt": argument], imageCount: 1))
        case "models":
            let models = try await client.models()
            let isSame = try await client.model(model) == models.first { $0.id == model }
            let rule = models.first { $0.id == model }?.input["prompt"]
            tell("models", "\(models.map(\.id).joined(separator: ",")) \(rule?.type ?? "-") \(rule?.maxLength ?? 0) \(rule?.isRequired ?? false) \(isSame)")
        default:
            fatalError("no such scenario: \(scenario)")
        }
    }

    private func create() async throws -> Prediction {
        try await client.create(model, input: ["prompt": argument])
    }

    private func createTwice() async throws {
        let first = try await client.create(model, input: ["prompt": argument], idempotencyKey: "a key", imageCount: 1)
        let second = try await client.create(model, input: ["prompt": .string(argument)] as JSONValue, idempotencyKey: "a key", imageCount: 1)
        tell("same", first.jobID == second.jobID)
        _ = try await client.create(model, input: ["prompt": "another prompt"], idempotencyKey: "a key")
    }

    /// Cancels the task that waits. The prediction continues.
    private func leave() async throws {
        let created = try await create()
        let client = client
        let waiting = Task { try await client.wait(created.jobID) }
        try await Task.sleep(nanoseconds: 300_000_000)
        waiting.cancel()
        do {
            tell("ended", try await waiting.value.status)
        } catch is CancellationError {
            tell("left", try await client.get(created.jobID).cancelRequested ?? false)
        }
        tell("ended", try await client.wait(created.jobID).status)
    }

    /// Follows more predictions than a user may have streams.
    private func waits() async throws {
        let (client, argument) = (client, argument)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask { tell("ended", try await client.run(model, input: ["prompt": argument]).status) }
            }
            try await group.waitForAll()
        }
    }

    private func list() async throws {
        var made: [String] = []
        for _ in 0..<3 { made.append(try await create().jobID) }
        for jobID in made { _ = try await client.wait(jobID) }
        let first = try await client.list(status: .succeeded, limit: 2)
        let last = try await client.list(status: .succeeded, limit: 2, cursor: first.nextCursor)
        tell("list", (first.data + last.data).map(\.jobID) == made.reversed())
        tell("pages", "\(first.data.count) \(last.data.count) \(last.nextCursor ?? "end")")
        tell("failed", try await client.list(status: .failed).data.count)
    }

    private func files() async throws {
        let stored = try await client.upload(URL(fileURLWithPath: argument), contentType: "image/png") { tell("progress", $0) }
        tell("stored", "\(stored.contentType) \(stored.bytes)")
        let page = try await client.files(limit: 10)
        tell("files", "\(page.data == [stored]) \(page.nextCursor ?? "end") \(try await client.file(stored.fileID) == stored)")
        let prediction = try await client.run(model, input: ["prompt": "The same at night", "input_image": stored.fileID])
        tell("ended", prediction.status)
        try await client.deleteFile(stored.fileID)
        tell("left", try await client.files().data.count)
        _ = try await client.file(stored.fileID)
    }
}

private func tell(_ what: String, _ value: Any) {
    FileHandle.standardOutput.write(Data("\(what) \(value)\n".utf8))
}
