import XCTest
@testable import Valetkey

final class ArgumentsTests: XCTestCase {
    /// Checks the error for an invalid argument. Returns its message.
    @discardableResult
    private func assertInvalid<Value>(_ param: String, _ work: @autoclosure () throws -> Value, line: UInt = #line) -> String {
        do {
            _ = try work()
            XCTFail("It was accepted.", line: line)
        } catch let error as ValetkeyError {
            XCTAssertEqual([error.code.rawValue, error.param], ["invalid_parameter", param], line: line)
            return error.message
        } catch {
            XCTFail("\(error)", line: line)
        }
        return ""
    }

    func testIDsCannotChangeTheRoute() throws {
        for id in ["", "..", "../x", "a/b", "a?b", "pred_1\r\nX: y", "pré", String(repeating: "x", count: 65)] {
            assertInvalid("jobID", try predictionPath(id))
            assertInvalid("fileID", try filePath(id))
        }
        XCTAssertEqual(try predictionPath("pred_01jh"), "/v1/predictions/pred_01jh")
        let message = assertInvalid("jobID", try predictionPath(String(repeating: "a.", count: 500)))
        XCTAssertLessThan(message.count, 160)
    }

    func testModelsCannotChangeTheRoute() {
        for model in ["../auth/token", "a/..", "a", "a/b/c", "a/b?x=1", "", "a/", "ä/b"] {
            XCTAssertThrowsError(try modelPath(model), model) { error in
                XCTAssertEqual((error as? ValetkeyError)?.code.rawValue, "model_not_allowed")
            }
        }
        XCTAssertEqual(try modelPath("black-forest-labs/flux.1_x"), "black-forest-labs/flux.1_x")
    }

    func testAQueryHasTheMembersThatAreSet() {
        XCTAssertEqual(withQuery("/x", [("a", nil), ("b", "1"), ("c", "2")]), "/x?b=1&c=2")
        XCTAssertEqual(withQuery("/x", [("a", nil)]), "/x")
    }

    func testKeysArePrintableASCII() {
        for key in ["", "a\nb", "ä", String(repeating: "x", count: 256)] { XCTAssertThrowsError(try checkKey(key), key) }
        XCTAssertNoThrow(try checkKey("a key ~"))
        XCTAssertNoThrow(try checkKey(String(repeating: "x", count: 255)))
    }

    func testMediaTypesLoseTheirParameters() throws {
        XCTAssertEqual(try mediaType("Video/WebM;codecs=\"vp8,opus\""), "video/webm")
        XCTAssertEqual(try mediaType("audio/vnd.wave"), "audio/vnd.wave")
        for type in ["", "image", "image/", "image/png\r\nX: y", "/png", "image/p/ng"] { assertInvalid("contentType", try mediaType(type)) }
    }

    func testFilesHaveBytes() throws {
        let folder = FileManager.default.temporaryDirectory
        let file = folder.appendingPathComponent("valetkey-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        assertInvalid("file", try checkFile(file))
        assertInvalid("file", try checkFile(folder))
        assertInvalid("file", try checkFile(XCTUnwrap(URL(string: "https://example.com/a.png"))))
        try Data().write(to: file)
        assertInvalid("file", try checkFile(file))
        try Data([1]).write(to: file)
        XCTAssertNoThrow(try checkFile(file))
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: 90_000_001)
        assertInvalid("file", try checkFile(file))
        try handle.truncate(atOffset: 90_000_000)
        try handle.close()
        // Makes a new URL, because the old one may cache the file size.
        XCTAssertNoThrow(try checkFile(URL(fileURLWithPath: file.path)))
    }

    func testTheBaseURLIsAnOriginWithHTTPSOrOnThisMachine() throws {
        let refused = [
            "http://example.com", "https://example.com/?a", "https://example.com/#a", "https://example.com/v1", "http://127.0.0.1:8787/v1",
            "http://127.0.0.1.example.com", "http://127.evil.example.com", "ftp://example.com", "https:///v1", "example.com",
        ]
        for text in refused {
            let message = assertInvalid("baseURL", try Valetkey(baseURL: XCTUnwrap(URL(string: text))) { _ in "t" })
            XCTAssert(message.contains(text), message)
        }
        for text in ["https://user@example.com", "https://user:word@example.com"] {
            let message = assertInvalid("baseURL", try Valetkey(baseURL: XCTUnwrap(URL(string: text))) { _ in "t" })
            XCTAssertFalse(message.contains("user@") || message.contains("word@"), message)
        }
        for text in ["https://example.com", "https://example.com:8443/", "http://127.0.0.1:8787", "http://127.1.2.3", "http://localhost:8787", "http://[::1]:8787"] {
            _ = try Valetkey(baseURL: XCTUnwrap(URL(string: text))) { _ in "t" }
        }
    }

    func testWithAllowHTTPTheBaseURLMayHaveHTTPOnAnyMachine() throws {
        for text in ["http://192.168.1.20:8787", "http://pc.local/", "HTTP://10.0.0.5"] {
            let url = try XCTUnwrap(URL(string: text))
            let message = assertInvalid("baseURL", try Valetkey(baseURL: url) { _ in "t" })
            XCTAssert(message.contains("`allowHTTP: true`") && message.contains(text), message)
            _ = try Valetkey(baseURL: url, allowHTTP: true) { _ in "t" }
        }
        for text in ["http://192.168.1.20:8787/v1", "ftp://192.168.1.20", "http://user@192.168.1.20", "http:///v1"] {
            assertInvalid("baseURL", try Valetkey(baseURL: XCTUnwrap(URL(string: text)), allowHTTP: true) { _ in "t" })
        }
    }

    func testAnInputThatJSONCannotExpressIsNamed() {
        let nan: JSONValue = ["prompt": "a secret prompt", "steps": [1, ["strength": .number(.nan)]]]
        let message = assertInvalid("input.steps[1].strength", try CreateRequest(model: nil, input: nan, imageCount: nil).json())
        XCTAssertFalse(message.contains("secret"), message)
        struct Refusing: Encodable {
            struct Secret: Error, CustomStringConvertible { let description = "a secret prompt" }
            func encode(to encoder: Encoder) throws { throw Secret() }
        }
        let other = assertInvalid("input", try CreateRequest(model: nil, input: Refusing(), imageCount: nil).json())
        XCTAssertFalse(other.contains("secret"), other)
    }
}
