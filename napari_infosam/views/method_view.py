"""How to adapt: the few choices that are worth making."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSpinBox, QWidget

from infosam.types import AdaptConfig

METHODS = {"adapter": "Adapter (recommended)", "lora": "LoRA", "decoder": "Mask decoder only"}
MAX_STEPS = 20_000
METHOD_TIP = (
    "What is trained. Adapter: small layers added to the image encoder, and the mask decoder.\n"
    "LoRA: low-rank changes of the encoder's attention, and the mask decoder.\n"
    "Mask decoder only: fastest, learns least."
)
DISTILL_TIP = (
    "InfoSAM: the model is also taught to keep what the pre-trained model knows about the relation\n"
    "between image and mask. Helps most with few labels."
)
STEPS_TIP = "How long to train at most. Training stops earlier when the held-out images no longer gain."


class MethodView(QWidget):
    """Edits an `AdaptConfig`; what it does not show stays as it was set."""

    valueChanged = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._value = AdaptConfig()
        self._method = QComboBox()
        for name, title in METHODS.items():
            self._method.addItem(title, name)
        self._method.setToolTip(METHOD_TIP)
        self._distill = QCheckBox("Distil from the pre-trained model")
        self._distill.setToolTip(DISTILL_TIP)
        self._steps = QSpinBox()
        self._steps.setRange(0, MAX_STEPS)
        self._steps.setSingleStep(50)
        self._steps.setSpecialValueText("automatic")
        self._steps.setKeyboardTracking(False)
        self._steps.setToolTip(STEPS_TIP)
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Method", self._method)
        layout.addRow("InfoSAM", self._distill)
        layout.addRow("Steps", self._steps)
        self.setValue(self._value)
        self._method.currentIndexChanged.connect(self._on_edit)
        self._distill.toggled.connect(self._on_edit)
        self._steps.valueChanged.connect(self._on_edit)

    def value(self) -> AdaptConfig:
        return self._value

    def setValue(self, value: AdaptConfig) -> None:
        """Show this configuration; a method that the list does not know is added to it."""
        if self._method.findData(value.peft) < 0:
            self._method.addItem(value.peft, value.peft)
        for widget in (self._method, self._distill, self._steps):
            widget.blockSignals(True)
        self._method.setCurrentIndex(self._method.findData(value.peft))
        self._distill.setChecked(value.distill != "none")
        self._steps.setValue(value.steps or 0)
        for widget in (self._method, self._distill, self._steps):
            widget.blockSignals(False)
        changed, self._value = value != self._value, value
        if changed:
            self.valueChanged.emit(value)

    def _on_edit(self) -> None:
        distill = self._value.distill
        if self._distill.isChecked() != (distill != "none"):
            distill = "infosam" if self._distill.isChecked() else "none"
        self._value = replace(
            self._value,
            peft=self._method.currentData(),
            distill=distill,
            steps=self._steps.value() or None,
        )
        self.valueChanged.emit(self._value)
