// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Live",
    platforms: [.macOS(.v12)],
    dependencies: [.package(name: "Valetkey", path: "../../..")],
    targets: [
        .executableTarget(name: "Live", dependencies: [.product(name: "Valetkey", package: "Valetkey")]),
        // The Swift code blocks of the documentation pages, which tests/swift/run.mjs writes here.
        .target(name: "Pages", dependencies: [.product(name: "Valetkey", package: "Valetkey")]),
    ]
)
