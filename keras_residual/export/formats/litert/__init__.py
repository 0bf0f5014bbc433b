"""LiteRT files: conversion, metadata, and fused LSTM operations."""
