import Client
import HTTP
import RPC
import Tensors
import Testing

@testable import predict

@Suite struct ArgumentsTests {
  @Test func `a server, a model and inputs`() throws {
    let question = try readArguments(["127.0.0.1:8500", "half_plus_two", "x=1,2,5"]), query = question.query
    #expect(question.target.endpoints == [.tcp(host: "127.0.0.1", port: 8500)])
    #expect(!question.usesTLS && question.timeout == .seconds(60))
    #expect(query.model == "half_plus_two")
    #expect(query.version == nil && query.versionLabel == nil && query.signature == "" && query.outputs == [])
    #expect(query.inputs["x"]?.array(of: Float.self) == [1, 2, 5])
    #expect(query.inputs["x"]?.shape == [3])
  }

  @Test func `options stand anywhere`() throws {
    let query = try readArguments([
      "--version=7", "unix:/s", "--signature=a=b", "m", "--output=y", "--output=z", "--label=stable",
    ]).query
    #expect(query.version == 7 && query.versionLabel == "stable" && query.signature == "a=b" && query.outputs == ["y", "z"])
  }

  @Test func `options of TLS ask for TLS`() throws {
    #expect(try readArguments(["h:1", "m", "--tls"]).usesTLS)
    let question = try readArguments(["h:1", "m", "--ca=/roots", "--server-name=n", "--timeout=0.5"])
    #expect(question.usesTLS && question.trustedRoots == "/roots" && question.serverName == "n")
    #expect(question.timeout == .milliseconds(500))
    #expect(throws: ArgumentError.self) { try question.configuration() }
  }

  @Test(arguments: [
    ["h:1", "m", "--timeout=0"], ["h:1", "m", "--timeout=soon"], ["h:1", "m", "--tls=1"],
    [], ["h:1"], ["nowhere", "m"], ["h:1", "m", "--version=x"], ["h:1", "m", "--version"], ["h:1", "m", "--what=1"],
    ["h:1", "m", "--output="], ["h:1", "m", "--=1"], ["h:1", "m", "x"], ["h:1", "m", "=1"],
  ])
  func `what cannot be taken says so`(_ arguments: [String]) {
    #expect(throws: ArgumentError.self) { try readArguments(arguments) }
  }
}

@Suite struct InputTests {
  @Test func `types and extents`() throws {
    let (name, ids) = try readInput("ids:int64[2,2]=1,-2,3,4")
    #expect(name == "ids" && ids.dtype == .int64 && ids.shape == [2, 2])
    #expect(ids.array(of: Int64.self) == [1, -2, 3, 4])
    #expect(try readInput("s:double[]=2.5").1.shape == [])
    #expect(try readInput("b:bool=true,false").1.array(of: UInt8.self) == [1, 0])
    #expect(try readInput("e:float[0,3]=").1.shape == [0, 3])
    let words = try readInput("w:string=to,,be=or").1
    #expect(words.strings == [Array("to".utf8), [], Array("be=or".utf8)])
  }

  @Test(arguments: [
    "x:what=1", "x:float[=1", "x:float[a]=1", "x:float[-1]=1", "x:float[2]=1", "x=1,,2", "x=one", "x:uint8=256", "x:bool=1",
    "x:float[9223372036854775807,2]=1", "x:float[1,1,1,1,1,1,1,1,1]=1", "x:half=1", "x:int32=",  "x:int32[]=",
    ":float=1",
  ])
  func `what is no input`(_ word: String) {
    // A vector of nothing is one: of no elements.
    if word == "x:int32=" { return #expect((try? readInput(word))?.1.shape == [0]) }
    #expect(throws: ArgumentError.self) { try readInput(word) }
  }

  @Test func `a tensor is written as it is typed, a large one in part`() {
    #expect(text(Tensor(.float, shape: [2], [1, 2.5] as [Float])) == "[1.0, 2.5]")
    #expect(text(Tensor(.bool, shape: [2], [true, false])) == "[true, false]")
    #expect(text(Tensor(shape: [1], strings: [Array("é".utf8)])) == "[\"é\"]")
    #expect(text(Tensor(.int32, shape: [100], [Int32](repeating: 7, count: 100))).hasSuffix(", 7, ...]"))
    #expect(text(Tensor(.half, shape: [3], [UInt16](repeating: 0, count: 3))) == "3 elements")
  }
}
