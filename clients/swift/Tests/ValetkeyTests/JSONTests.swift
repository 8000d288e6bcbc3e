import XCTest
@testable import Valetkey

final class JSONTests: XCTestCase {
    private func json(_ input: some Encodable, imageCount: Int? = nil) throws -> String {
        String(decoding: try CreateRequest(model: nil, input: input, imageCount: imageCount).json(), as: UTF8.self)
    }

    func testTheSameInputIsTheSameBytes() throws {
        let wanted = #"{"image_count":2,"input":{"a":[true,null],"prompt":"ä","seed":7,"strength":0.5}}"#
        let input: JSONValue = ["strength": 0.5, "seed": 7, "prompt": "ä", "a": [true, nil]]
        XCTAssertEqual(try json(input, imageCount: 2), wanted)
        let names = (0..<20).map { "name\($0)" }
        for _ in 0..<20 {
            let shuffled = Dictionary(uniqueKeysWithValues: names.shuffled().map { ($0, 1) })
            XCTAssertEqual(try json(shuffled), try json(Dictionary(uniqueKeysWithValues: names.map { ($0, 1) })))
        }
    }

    func testAnUnpairedSurrogateIsReplaced() {
        let cases = [
            (#"["\ud83d"]"#, #"["\ufffd"]"#),
            (#"["\uDE00x"]"#, #"["\ufffdx"]"#),
            (#"["\ud83d\ude00"]"#, #"["\ud83d\ude00"]"#),
            (#"["\ud83d\ud83d\ude00"]"#, #"["\ufffd\ud83d\ude00"]"#),
            (#"["\ude00\ud83d"]"#, #"["\ufffd\ufffd"]"#),
            // An escaped backslash before text that only looks like an escape.
            (#"["\\ud83d"]"#, #"["\\ud83d"]"#),
            (#"["\\\ud83d"]"#, #"["\\\ufffd"]"#),
            (#"["\n\u0041 😀"]"#, #"["\n\u0041 😀"]"#),
            (#"["\ud83d"#, #"["\ufffd"#),
            (#"["\ud8"#, #"["\ud8"#),
            ("", ""),
        ]
        for (given, wanted) in cases {
            XCTAssertEqual(String(decoding: wellFormed(Data(given.utf8)), as: UTF8.self), wanted, given)
        }
    }

    func testASurrogateThatWasEncodedAsUTF8IsReplaced() throws {
        let given = Data([0x5B, 0x22, 0xED, 0xA0, 0xBD, 0x22, 0x5D])
        let texts = try JSONDecoder().decode([String].self, from: wellFormed(given))
        XCTAssertEqual(Set(texts[0].unicodeScalars), ["\u{FFFD}"])
    }

    func testAnyJSONValueCanBeRead() throws {
        let text = #"{"a":[1,1.5,true,null,"x",{}],"b":-7}"#
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        XCTAssertEqual(value, ["a": [1, 1.5, true, nil, "x", [:]], "b": -7])
    }
}
