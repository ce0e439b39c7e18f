/// An array that never grows and is owned by one: what a plan or a frame walks at run time, without reference counts.
@safe struct FixedArray<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
  /// Valid for `count` initialised elements while the array lives.
  @unsafe let base: UnsafeMutablePointer<Element>
  let count: Int

  init(_ elements: some Collection<Element>) {
    count = elements.count
    unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: max(count, 1))
    for (i, element) in elements.enumerated() { unsafe (base + i).initialize(to: element) }
  }

  init(repeating element: Element, count: Int) {
    self.count = count
    unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: max(count, 1))
    unsafe base.initialize(repeating: element, count: count)
  }

  deinit { unsafe base.deallocate() }

  subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count)
      return unsafe base[index]
    }
    set {
      precondition(index >= 0 && index < count)
      unsafe base[index] = newValue
    }
  }
}
