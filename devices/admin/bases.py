"""Django's generic classes: the type checker wants their parameters, and Python does not know them."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    FormSet = forms.BaseModelFormSet[Any, Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    ModelChoice = forms.ModelChoiceField[Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm
    FormSet = forms.BaseModelFormSet
    InlineFormSet = forms.BaseInlineFormSet
    ModelChoice = forms.ModelChoiceField

__all__ = ["FormSet", "InlineFormSet", "ModelAdmin", "ModelChoice", "ModelForm", "TabularInline"]
