import XCTest
@testable import Valetkey

final class AddressTests: XCTestCase {
    func testModelAndPredictionNamesCannotChangeTheRoute() {
        for model in ["../auth/token", "a/..", "a", "a/b/c", "a/b?x=1", ""] {
            XCTAssertThrowsError(try Valetkey.path(of: model), model)
        }
        XCTAssertEqual(Valetkey.path(ofPrediction: "../x"), "/v1/predictions/..%2Fx")
    }

    func testAQueryHasTheMembersThatAreSet() {
        XCTAssertEqual(Valetkey.query([("a", nil), ("b", "1"), ("c", "x&y=z")]), "?b=1&c=x%26y%3Dz")
        XCTAssertEqual(Valetkey.query([("a", nil)]), "")
    }

    func testBaseURLIsHTTPSOrOnThisMachine() throws {
        let refused = [
            "http://example.com", "https://user@example.com", "https://user:word@example.com", "https://example.com/?a", "https://example.com/#a",
            "ftp://example.com", "https:///v1", "example.com",
        ]
        for text in refused {
            XCTAssertThrowsError(try Valetkey(baseURL: XCTUnwrap(URL(string: text))) { _ in "t" }, text) { error in
                let error = error as? ValetkeyError
                XCTAssertEqual(error?.code.rawValue, "invalid_parameter", text)
                XCTAssertEqual(error?.message.contains(text), !text.contains("@"), text)
                XCTAssertEqual(error?.message.contains("word@"), false)
            }
        }
        for text in ["https://example.com", "https://example.com/valetkey/", "http://127.0.0.1:8787", "http://localhost:8787/valetkey", "http://[::1]:8787"] {
            _ = try Valetkey(baseURL: XCTUnwrap(URL(string: text))) { _ in "t" }
        }
    }
}
