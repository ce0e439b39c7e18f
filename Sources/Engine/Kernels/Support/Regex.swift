// Regular expressions as graphs contain them: RE2's syntax without Unicode classes and named flags beyond `i` and `s`. A pattern
// becomes a program; matching runs all its threads in step with the text (Thompson's and Pike's way), so that time grows with
// the text and never explodes. Of the matches that begin leftmost the one Perl would find is taken.
internal import Tensors

/// Why a pattern is no regular expression here.
struct RegexError: Error {
  var message: String
}

struct Regex: Sendable {
  fileprivate enum Instruction: Sendable {
    case character(Int)  // one of `sets`
    case split(Int, Int)  // the first is preferred
    case jump(Int)
    case save(Int)
    case assert(Assertion)
    case match
  }
  fileprivate enum Assertion: Sendable { case textStart, textEnd, wordBoundary, noWordBoundary }

  /// Characters: sorted, disjoint ranges, and the ASCII ones as bits.
  struct CharacterSet: Sendable {
    private(set) var ranges: [ClosedRange<UInt32>] = []
    private var ascii: (UInt64, UInt64) = (0, 0)

    init(_ ranges: [ClosedRange<UInt32>] = []) {
      for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
        if let last = self.ranges.last, range.lowerBound <= last.upperBound &+ 1 {
          self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
        } else {
          self.ranges.append(range)
        }
      }
      for c in UInt32(0)..<128 where self.ranges.contains(where: { $0.contains(c) }) {
        if c < 64 { ascii.0 |= 1 << UInt64(c) } else { ascii.1 |= 1 << UInt64(c - 64) }
      }
    }

    func contains(_ c: UInt32) -> Bool {
      if c < 64 { return ascii.0 & (1 << UInt64(c)) != 0 }
      if c < 128 { return ascii.1 & (1 << UInt64(c - 64)) != 0 }
      return ranges.contains { $0.contains(c) }
    }

    var inverted: CharacterSet {
      var result: [ClosedRange<UInt32>] = []
      var next: UInt32 = 0
      for range in ranges {
        if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
        next = range.upperBound + 1
      }
      if next <= 0x10FFFF { result.append(next...0x10FFFF) }
      return CharacterSet(result)
    }

    /// With both cases of every ASCII letter.
    var foldingCase: CharacterSet {
      var result = ranges
      for c in UInt32(65)...90 where contains(c) || contains(c + 32) { result += [c...c, (c + 32)...(c + 32)] }
      return CharacterSet(result)
    }
  }

  private let program: [Instruction]
  private let sets: [CharacterSet]
  /// Groups in parentheses.
  let groupCount: Int
  /// The characters a match can begin with; `nil` when it can be empty or begin anywhere.
  private let first: CharacterSet?

  init(_ pattern: String) throws(RegexError) {
    var compiler = Compiler(pattern)
    try compiler.compile()
    program = compiler.program
    sets = compiler.sets
    groupCount = compiler.groupCount
    first = Regex.beginnings(compiler.program, compiler.sets)
  }

  /// What the threads at the start wait for.
  private static func beginnings(_ program: [Instruction], _ sets: [CharacterSet]) -> CharacterSet? {
    var ranges: [ClosedRange<UInt32>] = []
    var seen = Set<Int>()
    var pending = [0]
    while let at = pending.popLast() {
      guard seen.insert(at).inserted else { continue }
      switch program[at] {
      case .character(let set): ranges += sets[set].ranges
      case .split(let a, let b): pending += [a, b]
      case .jump(let to): pending.append(to)
      case .save: pending.append(at + 1)
      case .assert, .match: return nil
      }
    }
    return CharacterSet(ranges)
  }

  // MARK: Matching

  /// Memory of a search, used again for the next.
  struct Matcher {
    /// The threads of one step, by preference; the places each saved stand at its instruction.
    struct Threads {
      var order: [Int] = []
      var seen: [Bool]
      var saved: [Int]
    }
    var current: Threads
    var next: Threads
    /// The places of the thread that is being added.
    var places: [Int]
    /// What is still to be walked: instructions, and places to be put back (below zero, with their old value).
    var pending: [(Int, Int)] = []
    /// Where the groups of the match lie: pairs of places, -1 for a group without part in it. The first pair is the match.
    var match: [Int]

    init(_ regex: Regex) {
      let slots = 2 * (regex.groupCount + 1)
      let none = Threads(
        seen: [Bool](repeating: false, count: regex.program.count), saved: [Int](repeating: -1, count: regex.program.count * slots))
      (current, next) = (none, none)
      places = [Int](repeating: -1, count: slots)
      match = places
    }
  }

  /// Finds the leftmost match from `start` on and leaves its places in the matcher.
  /// - Parameter whole: whether the match must be the whole text.
  func find(
    _ text: UnsafeRawBufferPointer, from start: Int = 0, whole: Bool = false, _ matcher: inout Matcher
  ) -> Bool {
    clear(&matcher.current)
    var isFound = false
    var at = start
    while true {
      if matcher.current.order.isEmpty {
        if isFound || whole && at > start { break }
        // Nothing is under way: go to where something can begin.
        if let first, !whole {
          while at < text.count {
            let (c, length) = unsafe Regex.character(text, at)
            if first.contains(c) { break }
            at += length
          }
          if at >= text.count { break }
        }
      }
      let (c, length) = unsafe at < text.count ? Regex.character(text, at) : (0, 1)
      if !isFound, !whole || at == start {
        for slot in matcher.places.indices { matcher.places[slot] = -1 }
        unsafe add(0, at, text, &matcher, toCurrent: true)
      }
      clear(&matcher.next)
      let slots = matcher.places.count
      threads: for i in matcher.current.order.indices {
        let thread = matcher.current.order[i]
        switch program[thread] {
        case .character(let set):
          guard at < text.count, sets[set].contains(c) else { continue }
          for slot in 0..<slots { matcher.places[slot] = matcher.current.saved[thread * slots + slot] }
          unsafe add(thread + 1, at + length, text, &matcher, toCurrent: false)
        case .match:
          if whole, at != text.count { continue }
          for slot in 0..<slots { matcher.match[slot] = matcher.current.saved[thread * slots + slot] }
          matcher.match[1] = at
          isFound = true
          // Threads of lower preference have lost.
          break threads
        default: break
        }
      }
      swap(&matcher.current, &matcher.next)
      if at >= text.count { break }
      at += length
    }
    return isFound
  }

  private func clear(_ threads: inout Matcher.Threads) {
    for at in threads.order { threads.seen[at] = false }
    threads.order.removeAll(keepingCapacity: true)
  }

  /// Adds the threads that an instruction leads to without reading, with the matcher's places.
  @unsafe private func add(
    _ start: Int, _ at: Int, _ text: UnsafeRawBufferPointer, _ matcher: inout Matcher, toCurrent: Bool
  ) {
    if toCurrent {
      unsafe walk(start, at, text, &matcher.current, &matcher.places, &matcher.pending)
    } else {
      unsafe walk(start, at, text, &matcher.next, &matcher.places, &matcher.pending)
    }
  }

  @unsafe private func walk(
    _ start: Int, _ at: Int, _ text: UnsafeRawBufferPointer, _ threads: inout Matcher.Threads, _ places: inout [Int],
    _ pending: inout [(Int, Int)]
  ) {
    pending.append((start, 0))
    while let (instruction, old) = pending.popLast() {
      if instruction < 0 {
        places[~instruction] = old
        continue
      }
      guard !threads.seen[instruction] else { continue }
      threads.seen[instruction] = true
      // Those that do not read are listed too, so that they are cleared with the rest.
      threads.order.append(instruction)
      switch program[instruction] {
      case .jump(let to): pending.append((to, 0))
      case .split(let a, let b):
        pending.append((b, 0))
        pending.append((a, 0))
      case .save(let slot):
        // Put back once everything behind this instruction has been walked.
        pending.append((~slot, places[slot]))
        places[slot] = at
        pending.append((instruction + 1, 0))
      case .assert(let assertion):
        if unsafe holds(assertion, at, text) { pending.append((instruction + 1, 0)) }
      case .character, .match:
        for slot in places.indices { threads.saved[instruction * places.count + slot] = places[slot] }
      }
    }
  }

  @unsafe private func holds(_ assertion: Assertion, _ at: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    func isWord(_ i: Int) -> Bool {
      guard i >= 0, i < text.count else { return false }
      let c = unsafe text[i]
      return c >= 48 && c <= 57 || c >= 65 && c <= 90 || c >= 97 && c <= 122 || c == 95
    }
    switch assertion {
    case .textStart: return at == 0
    case .textEnd: return at == text.count
    case .wordBoundary: return isWord(at - 1) != isWord(at)
    case .noWordBoundary: return isWord(at - 1) == isWord(at)
    }
  }

  /// The UTF-8 character at a place, and its bytes; what is no UTF-8 counts as U+FFFD, one byte.
  @unsafe static func character(_ text: UnsafeRawBufferPointer, _ at: Int) -> (UInt32, Int) {
    let lead = unsafe UInt32(text[at])
    if lead < 0x80 { return (lead, 1) }
    let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0
    guard length > 0, lead < 0xF5, at + length <= text.count else { return (0xFFFD, 1) }
    var c = lead & (0x7F >> UInt32(length))
    for i in 1..<length {
      let byte = unsafe UInt32(text[at + i])
      guard byte & 0xC0 == 0x80 else { return (0xFFFD, 1) }
      c = c << 6 | byte & 0x3F
    }
    return (c, length)
  }
}

// MARK: The compiler

extension Regex {
  fileprivate struct Compiler {
    private let pattern: [UInt32]
    private var at = 0
    private var depth = 0
    private var work = 0
    private var ignoresCase = false
    private var dotMatchesNewline = false
    var program: [Instruction] = []
    var sets: [CharacterSet] = []
    var groupCount = 0

    /// More than any hand wrote; a pattern comes from the model file.
    private static let programMax = 20_000
    private static let depthMax = 200

    init(_ pattern: String) { self.pattern = pattern.unicodeScalars.map(\.value) }

    private indirect enum Tree {
      case empty
      case set(CharacterSet)
      case sequence([Tree])
      case alternatives([Tree])
      case repetition(Tree, Int, Int?, greedy: Bool)
      case group(Int, Tree)
      case assertion(Assertion)
    }

    mutating func compile() throws(RegexError) {
      let tree = try alternatives()
      guard at == pattern.count else { throw RegexError(message: "unexpected ): \(text)") }
      try emit(.save(0))
      try emit(tree)
      try emit(.match)
    }

    private var text: String { String(String.UnicodeScalarView(pattern.compactMap(Unicode.Scalar.init))) }
    private var next: UInt32? { at < pattern.count ? pattern[at] : nil }
    private func code(_ character: Unicode.Scalar) -> UInt32 { character.value }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard next == character.value else { return false }
      at += 1
      return true
    }

    private mutating func alternatives() throws(RegexError) -> Tree {
      depth += 1
      defer { depth -= 1 }
      guard depth <= Compiler.depthMax else { throw RegexError(message: "the pattern nests too deep") }
      let (cases, lines) = (ignoresCase, dotMatchesNewline)
      var all: [Tree] = []
      repeat {
        var sequence: [Tree] = []
        while let c = next, c != code("|"), c != code(")") { sequence.append(try repetition()) }
        all.append(.sequence(sequence))
      } while take("|")
      (ignoresCase, dotMatchesNewline) = (cases, lines)
      return all.count == 1 ? all[0] : .alternatives(all)
    }

    private mutating func repetition() throws(RegexError) -> Tree {
      let tree = try atom()
      guard let (least, most) = operators() else { return tree }
      guard least <= most ?? least, least <= 1000, most ?? 0 <= 1000 else {
        throw RegexError(message: "bad repetition operator: \(text)")
      }
      let isGreedy = !take("?")
      guard operators() == nil else { throw RegexError(message: "bad repetition operator: \(text)") }
      return .repetition(tree, least, most, greedy: isGreedy)
    }

    /// How often what stands before may occur, when a repetition operator stands here.
    private mutating func operators() -> (Int, Int?)? {
      if take("*") { return (0, nil) }
      if take("+") { return (1, nil) }
      if take("?") { return (0, 1) }
      return next == code("{") ? counts() : nil
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else is a brace.
    private mutating func counts() -> (Int, Int?)? {
      var i = at + 1
      func number() -> Int? {
        var value: Int? = nil
        while i < pattern.count, pattern[i] >= 48, pattern[i] <= 57, (value ?? 0) < 100_000 {
          value = (value ?? 0) * 10 + Int(pattern[i] - 48)
          i += 1
        }
        return value
      }
      guard let least = number() else { return nil }
      var most: Int? = least
      if i < pattern.count, pattern[i] == code(",") {
        i += 1
        most = number()
      }
      guard i < pattern.count, pattern[i] == code("}") else { return nil }
      at = i + 1
      return (least, most)
    }

    private func set(_ set: CharacterSet) -> Tree { .set(ignoresCase ? set.foldingCase : set) }

    private mutating func atom() throws(RegexError) -> Tree {
      guard let c = next else { return .empty }
      at += 1
      switch c {
      case code("("): return try group()
      case code("["): return set(try bracket())
      case code("."): return .set(dotMatchesNewline ? CharacterSet().inverted : CharacterSet([10...10]).inverted)
      case code("^"): return .assertion(.textStart)
      case code("$"): return .assertion(.textEnd)
      case code("*"), code("+"), code("?"): throw RegexError(message: "no argument for repetition operator: \(text)")
      case code("\\"):
        switch next {
        case code("b"): at += 1; return .assertion(.wordBoundary)
        case code("B"): at += 1; return .assertion(.noWordBoundary)
        case code("A"): at += 1; return .assertion(.textStart)
        case code("z"): at += 1; return .assertion(.textEnd)
        default: return set(try escape())
        }
      default: return set(CharacterSet([c...c]))
      }
    }

    private mutating func group() throws(RegexError) -> Tree {
      var number: Int? = nil
      if take("?") {
        if take("P") || next == code("<") {
          // A named group: a number like the others.
          guard take("<") else { throw RegexError(message: "invalid named capture group") }
          while let c = next, c != code(">") { _ = c; at += 1 }
          guard take(">") else { throw RegexError(message: "invalid named capture group") }
          groupCount += 1
          number = groupCount
        } else {
          var isOn = true
          flags: while let c = next {
            at += 1
            switch c {
            case code("-"): isOn = false
            case code("i"): ignoresCase = isOn
            case code("s"): dotMatchesNewline = isOn
            case code("U"), code("m"): throw RegexError(message: "unsupported flag in (?...)")
            case code(":"): break flags
            case code(")"): return .empty
            default: throw RegexError(message: "invalid or unsupported Perl syntax: (?")
            }
          }
        }
      } else {
        groupCount += 1
        number = groupCount
      }
      let inside = try alternatives()
      guard take(")") else { throw RegexError(message: "missing ): \(text)") }
      return number.map { .group($0, inside) } ?? inside
    }

    /// What follows a backslash, as characters.
    private mutating func escape() throws(RegexError) -> CharacterSet {
      guard let c = next else { throw RegexError(message: "trailing \\") }
      at += 1
      let digits: [ClosedRange<UInt32>] = [48...57]
      let words: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]
      let spaces: [ClosedRange<UInt32>] = [9...10, 12...13, 32...32]
      func one(_ c: UInt32) -> CharacterSet { CharacterSet([c...c]) }
      switch c {
      case code("d"): return CharacterSet(digits)
      case code("D"): return CharacterSet(digits).inverted
      case code("w"): return CharacterSet(words)
      case code("W"): return CharacterSet(words).inverted
      case code("s"): return CharacterSet(spaces)
      case code("S"): return CharacterSet(spaces).inverted
      case code("n"): return one(10)
      case code("t"): return one(9)
      case code("r"): return one(13)
      case code("f"): return one(12)
      case code("v"): return one(11)
      case code("a"): return one(7)
      case code("x"): return one(try hexadecimal())
      default:
        // A letter or a digit would mean something we do not know.
        guard c >= 128 || !(c >= 48 && c <= 57 || c >= 65 && c <= 90 || c >= 97 && c <= 122) else {
          throw RegexError(message: "invalid escape sequence: \\\(Unicode.Scalar(c).map(String.init) ?? "")")
        }
        return one(c)
      }
    }

    private mutating func hexadecimal() throws(RegexError) -> UInt32 {
      let braces = take("{")
      var (value, count): (UInt32, Int) = (0, 0)
      while let c = next, let digit = Unicode.Scalar(c).flatMap({ Character($0).hexDigitValue }), braces || count < 2, count < 6 {
        value = value << 4 | UInt32(digit)
        count += 1
        at += 1
      }
      guard count > 0, value <= 0x10FFFF, !braces || take("}") else { throw RegexError(message: "invalid escape sequence: \\x") }
      return value
    }

    private mutating func bracket() throws(RegexError) -> CharacterSet {
      let isInverted = take("^")
      var ranges: [ClosedRange<UInt32>] = []
      var isFirst = true
      while true {
        guard let c = next else { throw RegexError(message: "missing ]: \(text)") }
        if c == code("]"), !isFirst { break }
        isFirst = false
        at += 1
        if c == code("["), next == code(":") {
          ranges += try posix()
          continue
        }
        let low: CharacterSet = c == code("\\") ? try escape() : CharacterSet([c...c])
        guard next == code("-"), at + 1 < pattern.count, pattern[at + 1] != code("]"), let from = low.single else {
          ranges += low.ranges
          continue
        }
        at += 1
        guard let last = next else { throw RegexError(message: "missing ]: \(text)") }
        at += 1
        let high = last == code("\\") ? try escape() : CharacterSet([last...last])
        guard let to = high.single, from <= to else { throw RegexError(message: "invalid character class range") }
        ranges.append(from...to)
      }
      at += 1
      let set = CharacterSet(ranges)
      return isInverted ? (ignoresCase ? set.foldingCase : set).inverted : set
    }

    /// `[:alpha:]` and its kin, after the bracket.
    private mutating func posix() throws(RegexError) -> [ClosedRange<UInt32>] {
      let classes: [String: [ClosedRange<UInt32>]] = [
        "alnum": [48...57, 65...90, 97...122], "alpha": [65...90, 97...122], "ascii": [0...127], "blank": [9...9, 32...32],
        "cntrl": [0...31, 127...127], "digit": [48...57], "graph": [33...126], "lower": [97...122], "print": [32...126],
        "punct": [33...47, 58...64, 91...96, 123...126], "space": [9...13, 32...32], "upper": [65...90],
        "word": [48...57, 65...90, 95...95, 97...122], "xdigit": [48...57, 65...70, 97...102],
      ]
      var name = ""
      at += 1
      let isInverted = take("^")
      while let c = next, c != code(":"), let scalar = Unicode.Scalar(c) {
        name.unicodeScalars.append(scalar)
        at += 1
      }
      guard take(":"), take("]"), let ranges = classes[name] else { throw RegexError(message: "invalid character class range: [:\(name):]") }
      return isInverted ? CharacterSet(ranges).inverted.ranges : ranges
    }

    // MARK: From the tree to the program

    private mutating func emit(_ instruction: Instruction) throws(RegexError) {
      guard program.count < Compiler.programMax else { throw RegexError(message: "pattern too large - compile failed") }
      program.append(instruction)
    }

    private mutating func emit(_ tree: Tree) throws(RegexError) {
      // Repetitions of nothing make no instructions, but time passes.
      work += 1
      guard work < 50 * Compiler.programMax else { throw RegexError(message: "pattern too large - compile failed") }
      switch tree {
      case .empty: break
      case .set(let set):
        try emit(.character(sets.count))
        sets.append(set)
      case .sequence(let trees): for tree in trees { try emit(tree) }
      case .assertion(let assertion): try emit(.assert(assertion))
      case .group(let number, let inside):
        try emit(.save(2 * number))
        try emit(inside)
        try emit(.save(2 * number + 1))
      case .alternatives(let trees):
        var ends: [Int] = []
        for (i, tree) in trees.enumerated() {
          guard i + 1 < trees.count else {
            try emit(tree)
            break
          }
          let split = program.count
          try emit(.split(split + 1, split + 1))
          try emit(tree)
          ends.append(program.count)
          try emit(.jump(0))
          program[split] = .split(split + 1, program.count)
        }
        for end in ends { program[end] = .jump(program.count) }
      case .repetition(let tree, let least, let most, let greedy):
        func choice(_ inside: Int, _ past: Int) -> Instruction { greedy ? .split(inside, past) : .split(past, inside) }
        for _ in 0..<least { try emit(tree) }
        if let most {
          var splits: [Int] = []
          for _ in least..<max(most, least) {
            splits.append(program.count)
            try emit(.jump(0))
            try emit(tree)
          }
          for split in splits { program[split] = choice(split + 1, program.count) }
        } else {
          let split = program.count
          try emit(.jump(0))
          try emit(tree)
          try emit(.jump(split))
          program[split] = choice(split + 1, program.count)
        }
      }
    }
  }
}

extension Regex.CharacterSet {
  /// The character, when there is just one.
  fileprivate var single: UInt32? { ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil }
}
