"""A message shows all of its text in the width it has, and gives it back as it was written."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_infosam.views.message import Message

WIDTH = 330
HASH = "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"


@pytest.fixture
def host(qtbot: QtBot) -> QWidget:
    """As wide as the panel, with room below."""
    made = QWidget()
    qtbot.addWidget(made)
    QVBoxLayout(made).addStretch(1)
    made.resize(WIDTH, 600)
    return made


@pytest.fixture
def message(host: QWidget, qtbot: QtBot) -> Message:
    """At the top of the host."""
    made = Message()
    layout = host.layout()
    assert isinstance(layout, QVBoxLayout)
    layout.insertWidget(0, made)
    host.show()
    qtbot.waitExposed(host)
    return made


@pytest.mark.parametrize(
    "text", ["Short.", "word " * 80, HASH * 4, f"https://example.org/{HASH}", "one\ntwo\nthree", "<b> & x"]
)
def test_all_of_the_text_is_seen_and_copied_as_it_is(
    message: Message, host: QWidget, qtbot: QtBot, text: str
) -> None:
    message.setText(text)
    qtbot.wait(20)
    assert host.width() == WIDTH
    document = message.document()
    assert document is not None
    assert document.size().width() <= message.width()
    assert document.size().height() <= message.height() <= document.size().height() + 4
    viewport = message.viewport()
    assert viewport is not None
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton)
    QTest.keyClick(message, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(message, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == text


def test_the_same_text_again_keeps_what_is_selected(message: Message) -> None:
    message.setText(HASH)
    message.selectAll()
    message.setText(HASH)
    assert message.textCursor().selectedText() == HASH
    message.setText("Other.")
    assert not message.textCursor().hasSelection()


def test_a_message_never_gets_lower_than_its_lines(qtbot: QtBot) -> None:
    made = Message(lines=2)
    qtbot.addWidget(made)
    heights = []
    for text in ("", "One line.", "Two\nlines."):
        made.setText(text)
        heights.append(made.heightForWidth(WIDTH))
    assert len(set(heights)) == 1
